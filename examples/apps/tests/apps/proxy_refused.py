"""A client whose server is not there: it is closed, and does not hang."""

import socket
import sys

client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
assert client.recv(1) == b""
