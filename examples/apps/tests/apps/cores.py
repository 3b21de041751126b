"""64 connections at once, each of which gets back what it has sent."""

import socket
import sys

ADDRESS = (sys.argv[1], int(sys.argv[2]))
clients = [socket.create_connection(ADDRESS, timeout=30) for _ in range(64)]
for number, client in enumerate(clients):
    client.sendall(b"%d" % number * 1000)
    client.shutdown(socket.SHUT_WR)
for number, client in enumerate(clients):
    echo = b"".join(iter(lambda: client.recv(65536), b""))
    assert echo == b"%d" % number * 1000, (number, len(echo))
