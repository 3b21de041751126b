"""Reads to the end, then answers: by then the client has shut its write side down."""

import socket

listener = socket.create_server(("127.0.0.1", 0))
print("%s:%d" % listener.getsockname())
connection, _ = listener.accept()
connection.settimeout(30)
count = sum(iter(lambda: len(connection.recv(65536)), 0))
assert count == 3_000_000, count
connection.sendall(b"b" * 4_000_000)
connection.close()
