"""TCP proxies on loopback that forward only a part of what they receive."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from tests.stream_server import run_stream_server


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def admit(self, data: bytes, *, is_request: bool) -> bool:
        """Return whether to forward what has come, now or after a wait."""
        return True

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions."""
        self._writers.append(writer)
        answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.append(requests)
        try:
            await asyncio.gather(
                self._forward(reader, requests, is_request=True), self._forward(answers, writer, is_request=False)
            )
        finally:
            requests.close()

    def close_connections(self) -> None:
        """Close all connections, to both sides; one that has been closed stays so."""
        for writer in self._writers:
            writer.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_request: bool) -> None:
        try:
            while data := await source.read(65_536):
                if await self.admit(data, is_request=is_request):
                    sink.write(data)
                    await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


class ClosingProxy(Proxy):
    """Closes connections as soon as they are made while its target is away."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.is_away = False
        self.refused = 0
        """Number of connections that were closed."""

    def take_away(self) -> None:
        """Close all connections, and new ones from now on."""
        self.is_away = True
        self.close_connections()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward a connection unless the target is away."""
        if self.is_away:
            self.refused += 1
        else:
            await super().handle(reader, writer)


class FrozenProxy(Proxy):
    """Stops answering once it is frozen, as a server does whose process or machine is stopped."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._thawed = asyncio.Event()
        self._thawed.set()

    def freeze(self) -> None:
        """Forward nothing from now on."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Forward again, also what has been held back."""
        self._thawed.set()

    async def admit(self, data: bytes, *, is_request: bool) -> bool:
        """Wait until the proxy is thawed."""
        await self._thawed.wait()
        return True

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept a connection, and forward it once the proxy is thawed."""
        await self._thawed.wait()
        await super().handle(reader, writer)


class StartGate(Proxy):
    """Forwards requests to Temporal until they have named `allowed` runs, and then only its answers."""

    def __init__(self, target: int, run_ids: re.Pattern[bytes], allowed: int) -> None:
        super().__init__(target)
        self.run_ids = run_ids
        self.allowed = allowed
        self.seen: set[bytes] = set()

    async def admit(self, data: bytes, *, is_request: bool) -> bool:
        """Return whether it is an answer, or a request before the gate has closed."""
        if not is_request:
            return True
        if len(self.seen) >= self.allowed:
            return False
        self.seen |= set(self.run_ids.findall(data))
        return True


P = TypeVar("P", bound=Proxy)


@asynccontextmanager
async def run_proxy(proxy: P) -> AsyncIterator[P]:
    """Run a proxy on a free port."""
    async with run_stream_server(proxy.handle) as port:
        proxy.port = port
        yield proxy
