"""asyncio's protocols, as "TCP Echo Server" in its documentation; TCP_NODELAY is its default.

Buffered, since asyncio allocates 256 KiB for each read of a plain protocol. With the argument
"uvloop", a plain protocol on uvloop, which does not.
"""

import asyncio
import os
import sys

BUFFER = 16 * 1024


class BufferedEcho(asyncio.BufferedProtocol):
    buffer = memoryview(bytearray(BUFFER))  # One for all: each read is handled at once.

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.transport.write(bytes(self.buffer[:nbytes]))


class PlainEcho(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(protocol):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(port, os.getpid(), flush=True)
    async with server:
        await server.serve_forever()


if sys.argv[1:] == ["uvloop"]:
    import uvloop

    uvloop.install()
    asyncio.run(serve(PlainEcho))
else:
    asyncio.run(serve(BufferedEcho))
