"""A runtime in the loop of asyncio, by ctypes. `cargo test -p selkie-loops` runs it with the path
of the library."""

import asyncio
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
library.sk_open.restype = ctypes.c_void_p
library.sk_timeout_ns.restype = ctypes.c_longlong
for function in "fd", "timeout_ns", "turn", "close", "start", "call", "is_over", "report":
    getattr(library, "sk_" + function).argtypes = [ctypes.c_void_p]


# ----
class Guest:
    """Takes a turn when the runtime's descriptor is readable, or a deadline has come."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.loop = asyncio.get_running_loop()
        self.deadline = None
        self.over = self.loop.create_future()
        self.loop.add_reader(library.sk_fd(runtime), self.turn)

    def turn(self):
        if library.sk_turn(self.runtime) != 0 or library.sk_is_over(self.runtime):
            self.close()
            return
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        timeout = library.sk_timeout_ns(self.runtime)
        if timeout >= 0:
            self.deadline = self.loop.call_at(self.loop.time() + timeout / 1e9, self.turn)

    def close(self):
        self.loop.remove_reader(library.sk_fd(self.runtime))
        self.over.set_result(None)
# ----


async def main():
    runtime = library.sk_open(0)
    library.sk_start(runtime)
    guest = Guest(runtime)
    asyncio.get_running_loop().call_later(0.01, library.sk_call, runtime)
    await guest.over
    library.sk_report(runtime)
    library.sk_close(runtime)


asyncio.run(main())
