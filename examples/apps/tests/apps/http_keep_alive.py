"""Requests one after the other, with and without a body, on one connection."""

import http.client
import sys

client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
for number in range(1, int(sys.argv[3]) + 1):
    client.request("GET", "/")
    assert client.getresponse().read() == f"request {2 * number - 1}\n".encode()
    client.request("POST", "/echo", body=b"x" * 100)
    assert client.getresponse().read() == b"x" * 100
