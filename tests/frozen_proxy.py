"""A TCP proxy that can stop answering, as a server does whose process or machine is stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FrozenProxy:
    """Forwards connections to a port of this machine until it is frozen; then it accepts and stays silent."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Forward nothing from now on."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Forward again, also what has been held back."""
        self._thawed.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions."""
        await self._thawed.wait()
        answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, requests), (answers, writer)):
            task = asyncio.create_task(self._forward(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._thawed.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def run_frozen_proxy(target: int) -> AsyncIterator[FrozenProxy]:
    """Run a proxy on a free port."""
    proxy = FrozenProxy(target)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.thaw()
        server.close()
