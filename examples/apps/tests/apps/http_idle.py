"""A connection that stays open after its answer, until the server closes it."""

import http.client
import sys

client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
client.request("GET", "/")
print(client.getresponse().read().decode())
assert client.sock.recv(1) == b""
