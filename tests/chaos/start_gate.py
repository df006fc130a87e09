"""A proxy in front of Temporal through which only the first of many runs can be started."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StartGate:
    """Forwards requests to Temporal until they have named `allowed` runs, and then only its answers."""

    def __init__(self, target: int, run_ids: re.Pattern[bytes], allowed: int) -> None:
        self.target = target
        self.run_ids = run_ids
        self.allowed = allowed
        self.seen: set[bytes] = set()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions."""
        answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
        for forwarding in (self._forward_requests(reader, requests), self._forward(answers, writer)):
            task = asyncio.create_task(forwarding)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward_requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if len(self.seen) < self.allowed:
                    self.seen |= set(self.run_ids.findall(data))
                    sink.write(data)
                    await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def run_start_gate(target: int, run_ids: re.Pattern[bytes], allowed: int) -> AsyncIterator[StartGate]:
    """Run a gate on a free port."""
    gate = StartGate(target, run_ids, allowed)
    server = await asyncio.start_server(gate.handle, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        await gate.close()
