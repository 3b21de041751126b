"""Python's selectors, as the example in its documentation, with what send() leaves kept."""

import os
import selectors
import socket

BUFFER = 16 * 1024

sel = selectors.DefaultSelector()


def accept(sock, mask, _unsent):
    conn, _addr = sock.accept()
    conn.setblocking(False)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sel.register(conn, selectors.EVENT_READ, (read, b""))


def read(conn, mask, _unsent):
    try:
        data = conn.recv(BUFFER)
    except ConnectionResetError:
        data = b""
    if data:
        send(conn, data)
    else:
        sel.unregister(conn)
        conn.close()


def write(conn, mask, unsent):
    if send(conn, unsent):
        sel.modify(conn, selectors.EVENT_READ, (read, b""))


def send(conn, data):
    """Sends, waits for room with what is left, and returns whether nothing is."""
    try:
        sent = conn.send(data)
    except BlockingIOError:
        sent = 0
    if sent == len(data):
        return True
    sel.modify(conn, selectors.EVENT_WRITE, (write, data[sent:]))
    return False


sock = socket.create_server(("127.0.0.1", 0))
sock.setblocking(False)
sel.register(sock, selectors.EVENT_READ, (accept, b""))
print(sock.getsockname()[1], os.getpid(), flush=True)

while True:
    for key, mask in sel.select():
        callback, unsent = key.data
        callback(key.fileobj, mask, unsent)
