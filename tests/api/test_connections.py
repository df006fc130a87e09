"""Slow clients and idle connections do not stop the service."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api import connections
from api.connections import ConnectionLimits
from api.serve import _run_server, bind

SECONDS = 60
CLOSED = b""
REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n"


class Clock:
    """The clock of the limits, which a test moves on: connections are still checked in real time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reads = 0

    def monotonic(self) -> float:
        self.reads += 1
        return self.now

    async def pass_checked(self, seconds: float) -> None:
        """Let time pass, and wait until the connection has been checked."""
        self.now += seconds
        reads = self.reads
        async with asyncio.timeout(SECONDS):
            while self.reads == reads:
                await asyncio.sleep(0.01)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(connections, "time", clock)
    return clock


@dataclass
class Gate:
    """Holds the requests of `/wait` until it is opened."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serve(limits: ConnectionLimits) -> AsyncIterator[tuple[str, Gate]]:
    """Serve what repeats bodies; `/healthz` answers at once, `/wait` answers when the gate is open."""
    gate = Gate()

    async def repeat(request: Request) -> Response:
        return Response(await request.body())

    async def wait(request: Request) -> Response:
        gate.reached.set()
        await gate.opened.wait()
        return PlainTextResponse("done")

    async def answer(request: Request) -> Response:
        return PlainTextResponse("healthy")

    routes = [Route("/", repeat, methods=["POST"]), Route("/wait", wait), Route("/healthz", answer)]
    app = Starlette(routes=routes)
    async with _run_server(app, bind("127.0.0.1", 0), limits=limits) as address:
        yield address, gate


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection."""
    try:
        async with asyncio.timeout(SECONDS):
            return await reader.read()
    except ConnectionResetError:
        return CLOSED


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST / HT", REQUEST, REQUEST + b"\r\nab"],
    ids=["nothing", "a part of a line", "a part of the headers", "a part of the body"],
)
async def test_a_client_that_does_not_send_its_request_is_dropped(sent: bytes) -> None:
    limits = ConnectionLimits(receive_seconds=0.2)
    async with serve(limits) as (address, _), connect(address) as (reader, writer):
        writer.write(sent)
        received = await read_all(reader)

    assert received == CLOSED


async def test_a_client_that_sends_a_byte_now_and_then_is_dropped() -> None:
    # Each byte would begin a timeout between bytes again.
    limits = ConnectionLimits(receive_seconds=0.2)
    async with serve(limits) as (address, _), connect(address) as (reader, writer), asyncio.timeout(SECONDS):
        reading = asyncio.create_task(read_all(reader))
        writer.write(REQUEST)
        number = 0
        while not reading.done():
            writer.write(b"X-%d: 1\r\n" % number)
            number += 1
            await asyncio.sleep(0.05)

        assert reading.result() == CLOSED


async def test_the_second_request_of_a_connection_has_a_time_limit_too(clock: Clock) -> None:
    limits = ConnectionLimits(receive_seconds=0.2)
    async with serve(limits) as (address, _), connect(address) as (reader, writer), asyncio.timeout(SECONDS):
        writer.write(REQUEST + b"\r\nabcdef" + REQUEST)
        received = await reader.readuntil(b"\r\n\r\nabcdef")
        clock.now += 10.0
        rest = await read_all(reader)

    assert (received.count(b"HTTP/1.1 200"), rest) == (1, CLOSED)


HEADERS = REQUEST + b"Connection: close\r\nExpect: 100-continue\r\n\r\n"
"""Headers after which the server says that it has them: 96 bytes, which extend the time by 0.096 s."""


async def test_a_client_that_sends_fast_enough_may_take_longer(clock: Clock) -> None:
    limits = ConnectionLimits(receive_seconds=0.1, bytes_per_second=1_000)
    async with serve(limits) as (address, _), connect(address) as (reader, writer), asyncio.timeout(SECONDS):
        writer.write(HEADERS)
        await reader.readuntil(b"100 Continue\r\n\r\n")
        for letter in (b"a", b"b", b"c", b"d", b"e", b"f"):
            await clock.pass_checked(0.03)  # 0.18 s in all
            writer.write(letter)
        received = await read_all(reader)

    assert received.endswith(b"abcdef")


async def test_the_first_bytes_of_a_later_request_extend_its_time(clock: Clock) -> None:
    """They were counted before the request began, which set the count to zero."""
    limits = ConnectionLimits(receive_seconds=0.1, bytes_per_second=1_000)
    async with serve(limits) as (address, _), connect(address) as (reader, writer), asyncio.timeout(SECONDS):
        writer.write(REQUEST + b"\r\nabcdef")
        await reader.readuntil(b"\r\n\r\nabcdef")
        writer.write(HEADERS)
        await reader.readuntil(b"100 Continue\r\n\r\n")
        await clock.pass_checked(0.18)
        writer.write(b"ghijkl")
        received = await read_all(reader)

    assert received.endswith(b"ghijkl")


async def test_a_response_may_take_longer_than_its_request(clock: Clock) -> None:
    limits = ConnectionLimits(receive_seconds=0.1)
    async with serve(limits) as (address, gate), httpx.AsyncClient(timeout=SECONDS) as client:
        waiting = asyncio.create_task(client.get(f"{address}/wait"))
        async with asyncio.timeout(SECONDS):
            await gate.reached.wait()
        clock.now += 10.0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.5)
        gate.opened.set()

        assert (await waiting).text == "done"


async def test_a_burst_of_connections_stays_within_the_limit() -> None:
    """An aborted connection is open for one more moment: each of a burst took the same one for the longest idle."""
    limits = ConnectionLimits(max_connections=10, receive_seconds=600)
    async with serve(limits) as (address, _), AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        where = urlsplit(address)
        # The server accepts all of them at once: it runs in this thread.
        burst = [socket.create_connection((where.hostname, where.port)) for _ in range(50)]
        readers = []
        for each in burst:
            reader, writer = await asyncio.open_connection(sock=each)
            stack.callback(writer.close)
            readers.append(reader)
        while (dropped := sum(reader.at_eof() or reader.exception() is not None for reader in readers)) < 40:
            await asyncio.sleep(0.01)

    assert dropped == 40


async def test_requests_that_have_not_arrived_make_room_for_others() -> None:
    """Ten requests without their bodies kept everybody else out, health checks included."""
    limits = ConnectionLimits(max_connections=10, receive_seconds=600)
    async with serve(limits) as (address, _), AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=SECONDS))
        slow = [await stack.enter_async_context(connect(address)) for _ in range(10)]
        for reader, writer in slow:
            writer.write(REQUEST + b"Expect: 100-continue\r\n\r\n")
            await reader.readuntil(b"100 Continue\r\n\r\n")
        answer = await client.get(f"{address}/healthz")

        assert answer.text == "healthy"
        assert await read_all(slow[0][0]) == CLOSED, "the oldest one made room"


@pytest.mark.parametrize(
    "sent",
    [
        REQUEST + b"X: 1\r\n" * 199,
        REQUEST + b"X: %s\r\n" % (b"a" * 65_536),
        REQUEST + b"X: %s" % (b"a" * 1_000_000),
        REQUEST.replace(b"/", b"/?%s" % (b"a" * 40_000), 1) + b"X: %s\r\n" % (b"a" * 40_000),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: 1\r\n" * 200,
    ],
    ids=["many", "large", "without an end", "a long URL", "trailers"],
)
async def test_a_client_that_sends_too_many_headers_is_dropped(sent: bytes) -> None:
    # 20,000 headers took 18 s on the event loop.
    limits = ConnectionLimits(receive_seconds=600)
    async with serve(limits) as (address, _), connect(address) as (reader, writer):
        writer.write(sent + b"\r\n")
        received = await read_all(reader)

    assert received == CLOSED or b"400 Bad Request" in received


async def test_a_client_may_send_many_headers_in_each_of_its_requests() -> None:
    limits = ConnectionLimits(receive_seconds=600)
    request = REQUEST + b"X: %s\r\n" % (b"a" * 300) * 190 + b"\r\nabcdef"
    async with serve(limits) as (address, _), connect(address) as (reader, writer):
        writer.write(request * 3 + REQUEST + b"Connection: close\r\n\r\nabcdef")
        received = await read_all(reader)

    assert received.count(b"abcdef") == 4


async def test_a_connection_is_idle_since_its_last_response() -> None:
    """One that was opened first and has just been used does not make room for others."""
    limits = ConnectionLimits(max_connections=2, receive_seconds=600)
    async with serve(limits) as (address, _), connect(address) as (reader, writer), connect(address) as (unused, _):
        async with asyncio.timeout(SECONDS):
            writer.write(REQUEST + b"\r\nabcdef")
            await reader.readuntil(b"\r\n\r\nabcdef")
            async with connect(address):
                assert await read_all(unused) == CLOSED

            writer.write(REQUEST + b"Connection: close\r\n\r\nabcdef")

            assert (await read_all(reader)).endswith(b"abcdef")


@pytest.mark.thorough
async def test_a_thousand_idle_connections_do_not_stop_service() -> None:
    limits = ConnectionLimits(max_connections=50, receive_seconds=600)
    async with serve(limits) as (address, gate), AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=SECONDS))
        pending = asyncio.create_task(client.get(f"{address}/wait"))
        await client.post(address, content=b"here")
        idle = [await stack.enter_async_context(connect(address)) for _ in range(1_000)]
        answer = await client.post(address, content=b"still")
        gate.opened.set()

        assert answer.text == "still"
        assert (await pending).text == "done", "a connection with a request in progress is not dropped"
        assert await read_all(idle[0][0]) == CLOSED, "the longest idle one made room"
