"""A server, and netcat with every kind of standard input."""

import fcntl
import os
import pty
import socket
import subprocess
import sys
import tempfile

NETCAT = sys.argv[1]
PATIENCE = 30
listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(PATIENCE)
ADDRESS = "127.0.0.1:%d" % listener.getsockname()[1]
BYTES = bytes(range(256)) * 4000


def start(**streams):
    process = subprocess.Popen([NETCAT, ADDRESS], stdout=subprocess.PIPE, **streams)
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return process, connection


def read_to_end(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def converse(process, connection, sent):
    """The other side reads to the end, and only then answers: the end of stdin came as such."""
    received = read_to_end(connection)
    assert received == sent, len(received)
    connection.sendall(BYTES)
    connection.close()
    assert process.stdout.read() == BYTES
    assert process.wait(PATIENCE) == 0


process, connection = start(stdin=subprocess.PIPE)
process.stdin.write(b"first ")
process.stdin.flush()
assert connection.recv(6) == b"first "
process.stdin.write(b"last")
process.stdin.close()
converse(process, connection, b"last")
print("pipe")

with tempfile.TemporaryFile() as file:
    file.write(BYTES)
    file.seek(0)
    converse(*start(stdin=file), BYTES)
print("file")

converse(*start(stdin=subprocess.DEVNULL), b"")
print("/dev/null")

keyboard, terminal = pty.openpty()
process, connection = start(stdin=terminal)
os.write(keyboard, b"hello\n")
assert connection.recv(10) == b"hello\n"
connection.sendall(b"good day\n")
assert process.stdout.readline() == b"good day\n"
assert not fcntl.fcntl(terminal, fcntl.F_GETFL) & os.O_NONBLOCK
os.write(keyboard, b"\x04")  # Ctrl-D: the end.
converse(process, connection, b"")
assert not fcntl.fcntl(terminal, fcntl.F_GETFL) & os.O_NONBLOCK
print("terminal")

process, connection = start(stdin=subprocess.PIPE)
connection.sendall(b"goodbye")
connection.close()
assert process.wait(PATIENCE) == 0
assert process.stdout.read() == b"goodbye"
print("the other side ends first")
