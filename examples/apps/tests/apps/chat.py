"""Three clients of the chat, in lock step: one talks, one reads, and one does not read."""

import socket
import sys

PATIENCE = 30
BATCH = 40
LINES = 8_000


def connect(receive_buffer=None):
    client = socket.socket()
    client.settimeout(PATIENCE)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((sys.argv[1], int(sys.argv[2])))
    return client, client.makefile("rb")


def joined(lines, other):
    """Waits until the server has seen the other client."""
    name = "%s:%d joins\n" % other.getsockname()
    assert next(lines).decode() == name


reader, read = connect()
slow, slow_lines = connect(receive_buffer=4096)
joined(read, slow)
talker, _ = connect()
joined(read, talker)

text = "x" * 800
for first in range(0, LINES, BATCH):
    numbers = range(first, first + BATCH)
    talker.sendall("".join(f"{number} {text}\n" for number in numbers).encode())
    for number in numbers:
        line = next(read).decode()
        assert line.endswith(f" says: {number} {text}\n"), line

# The slow one begins to read: no line twice, none out of order, and those that are missing are
# counted at the place where they are missing.
joined(slow_lines, talker)
expected = lost = 0
while expected < LINES:
    line = next(slow_lines).decode()
    if line.startswith("* you read too slowly: "):
        count = int(line.split()[5])
        lost += count
        expected += count
    else:
        assert line.endswith(f" says: {expected} {text}\n"), (expected, line)
        expected += 1

# And it is a client like the others again.
slow.sendall(b"sorry\n")
assert next(read).decode().endswith(" says: sorry\n")
talker.sendall(b"never mind\n")
for lines in [slow_lines, read]:
    assert next(lines).decode().endswith(" says: never mind\n")

# A line without an end becomes several.
talker.sendall(b"y" * 2000 + b"\n")
long = [next(read).decode().split("says: ")[1].strip() for _ in range(2)]
assert "".join(long) == "y" * 2000 and len(long[0]) == 1024, long

talker.shutdown(socket.SHUT_WR)
assert next(read).decode().endswith(" leaves\n")
reader.shutdown(socket.SHUT_WR)
assert read.read() == b""
print("lost", lost)
