"""Text, bytes, fragments, pings, a message over the limit, and a server that ends."""

import asyncio
import sys

import websockets

URL = sys.argv[1]
LIMIT = 1024 * 1024


async def echoes():
    async with websockets.connect(URL, max_size=None) as socket:
        for message in ["hello", "", "grüße", b"\x00\xff", b"b" * LIMIT, "t" * 100_000]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["a message ", "in ", "fragments"])
        assert await socket.recv() == "a message in fragments"
        await asyncio.wait_for(await socket.ping(), 30)


async def too_long():
    async with websockets.connect(URL) as socket:
        await socket.send(b"b" * (LIMIT + 1))
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1009, closed
        else:
            raise AssertionError("it took a message over the limit")


async def goodbye():
    async with websockets.connect(URL) as socket:
        await socket.send("one")
        assert await socket.recv() == "one"
        print("waiting")
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            print(f"closed with {closed.rcvd.code}: {closed.rcvd.reason}")


async def main():
    await asyncio.gather(*(echoes() for _ in range(10)))
    await too_long()
    await goodbye()


asyncio.run(asyncio.wait_for(main(), 60))
