"""Sends, shuts its write side down, and reads the answer that comes only then."""

import socket
import sys

client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
client.sendall(b"a" * 3_000_000)
client.shutdown(socket.SHUT_WR)
count = sum(iter(lambda: len(client.recv(65536)), 0))
assert count == 4_000_000, count
