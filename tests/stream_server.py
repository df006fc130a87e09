"""A TCP server on loopback that leaves no connection open when it ends, and the HTTP requests that it is sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


async def read_http_request(reader: asyncio.StreamReader) -> HttpRequest:
    """Return the next request of a connection; raises IncompleteReadError where the client has closed it."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return HttpRequest(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@contextlib.asynccontextmanager
async def run_stream_server(handle: Handle) -> AsyncIterator[int]:
    """Serve connections for the duration of the context, and yield the port.

    A connection is closed when `handle` returns. One that the client breaks off is no error; any other exception of
    `handle` is raised at the end.
    """
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await handle(reader, writer)
            finally:
                writer.close()

    def accept_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():
            writer.transport.abort()
            return
        connections[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept_connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()  # a task that has not begun closes nothing
        await asyncio.gather(*connections, return_exceptions=True)
    for task in connections:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
