"""The document's echo client, on the selectors module of Python's standard library.

python3 echo_client.py PORT. It ends as the document's text says, when all is sent and as many
bytes have come back; the document's code would end with the first piece of an echo.
"""
import selectors
import socket
import sys

mysel = selectors.DefaultSelector()
keep_running = True
outgoing = [
    b'It will be repeated.',
    b'This is the message. ',
]
bytes_sent = 0
bytes_received = 0

# Connecting is a blocking operation, so call setblocking()
# after it returns.
server_address = ('127.0.0.1', int(sys.argv[1]))
print('connecting to {} port {}'.format(*server_address))
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.connect(server_address)
sock.setblocking(False)

# Set up the selector to watch for when the socket is ready
# to send data as well as when there is data to read.
mysel.register(
    sock,
    selectors.EVENT_READ | selectors.EVENT_WRITE,
)

while keep_running:
    print('waiting for I/O')
    for key, mask in mysel.select(timeout=1):
        connection = key.fileobj
        client_address = connection.getpeername()
        print('client({})'.format(client_address))

        if mask & selectors.EVENT_READ:
            print('  ready to read')
            data = connection.recv(1024)
            if not data:
                sys.exit('the server hung up before all bytes were back')
            # A readable client socket has data
            print('  received {!r}'.format(data))
            bytes_received += len(data)

        if mask & selectors.EVENT_WRITE:
            print('  ready to write')
            if not outgoing:
                # We are out of messages, so we no longer need to
                # write anything. Change our registration to let
                # us keep reading responses from the server.
                print('  switching to read-only')
                mysel.modify(sock, selectors.EVENT_READ)
            else:
                # Send the next message.
                next_msg = outgoing.pop()
                print('  sending {!r}'.format(next_msg))
                sock.sendall(next_msg)
                bytes_sent += len(next_msg)

        # Close when we have received a copy of all of the data.
        keep_running = bool(
            outgoing
            or not bytes_received
            or bytes_received != bytes_sent
        )

print('shutting down')
mysel.unregister(connection)
connection.close()
mysel.close()
