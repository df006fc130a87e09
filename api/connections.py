"""Drop connections that send requests too slowly, and the longest idle ones where there are too many.

uvicorn has a timeout between the requests of a connection, none within a request and none before the first one. It has
no limit of headers either, with httptools.
"""

import time
from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What clients may take of a server."""

    max_connections: int = 1_000
    receive_seconds: float = 20.0
    """Time for sending a request, which begins with the connection or with its first byte."""
    bytes_per_second: int = 500
    """Each of so many bytes extends the time by a second, as in Apache's `mod_reqtimeout`."""
    max_headers: int = 200
    max_header_bytes: int = 65_536
    """Of the URL and all headers of a request, trailers included."""


class HeadersTooLarge(Exception):
    """The request has too many headers; the parser then fails, and the client gets a 400."""


class GuardedProtocol(HttpToolsProtocol):
    """The HTTP protocol of uvicorn with limits."""

    def __init__(self, *args: Any, limits: ConnectionLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self._timer: TimerHandle | None = None
        self._received = self._chunk_size = 0
        self._unparsed = self._header_count = self._header_bytes = 0
        self._idle_since = time.monotonic()
        self._is_dropped = False
        """An aborted connection is in `connections` until the event loop has closed it."""

    @property
    def _is_expendable(self) -> bool:
        """Whether no response is pending to a request that has arrived whole."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.cycle.more_body and not self.pipeline

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn narrows it, too
        """Accept a connection, at the expense of the one longest without a response where there are too many."""
        super().connection_made(transport)
        self._expect_request()
        guarded = [each for each in self.connections if isinstance(each, GuardedProtocol) and not each._is_dropped]
        if len(guarded) > self.limits.max_connections:
            expendable = [each for each in guarded if each._is_expendable]
            min(expendable, key=lambda each: each._idle_since)._drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        self._chunk_size = len(data)
        self._received += len(data)
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > self.limits.max_header_bytes and not self.transport.is_closing():
            self._drop()  # in the middle of one header

    def on_message_begin(self) -> None:
        """Begin to receive a request."""
        if self._timer is None:
            self._expect_request()
        self._header_count = self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a part of the URL."""
        self._count_header_bytes(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a header or a trailer."""
        self._header_count += 1
        self._count_header_bytes(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End receiving the headers."""
        self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End receiving a request."""
        self._unparsed = 0
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End a response."""
        self._idle_since = time.monotonic()
        super().on_response_complete()

    def _count_header_bytes(self, count: int) -> None:
        self._header_bytes += count
        if self._header_count > self.limits.max_headers or self._header_bytes > self.limits.max_header_bytes:
            raise HeadersTooLarge

    def _expect_request(self) -> None:
        self._received = self._chunk_size  # a request begins within a chunk, the first one before there is any
        self._timer = self.loop.call_later(self.limits.receive_seconds, self._check, time.monotonic())

    def _check(self, begun: float) -> None:
        """Drop the connection where its request has not arrived in time."""
        allowed = self.limits.receive_seconds + self._received / self.limits.bytes_per_second
        left = begun + allowed - time.monotonic()
        if left > 0:
            self._timer = self.loop.call_later(left, self._check, begun)
        elif not self.transport.is_closing():
            self._timer = None
            self._drop()

    def _drop(self) -> None:
        self._is_dropped = True
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
