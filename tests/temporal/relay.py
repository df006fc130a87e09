"""A TCP relay on loopback whose target can be taken away: connections are then closed as soon as they are made."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """Forwards connections to a port, unless `is_away`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.is_away = False
        self.refused = 0
        """Number of connections that were closed."""
        self._writers: set[asyncio.StreamWriter] = set()

    def take_away(self) -> None:
        """Close all connections, and new ones from now on."""
        self.is_away = True
        for writer in self._writers:
            writer.close()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_away:
            self.refused += 1
            writer.close()
            return
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._writers |= {writer, target_writer}
        await asyncio.gather(_copy(reader, target_writer), _copy(target_reader, writer))
        self._writers -= {writer, target_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def run_relay(target_port: int) -> AsyncIterator[Relay]:
    """Run a relay for the duration of the context."""
    relay = Relay(target_port)
    server = await asyncio.start_server(relay.forward, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.take_away()
        server.close()
