"""A gRPC server on loopback that answers every call with one status, such as UNAUTHENTICATED."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.stream_server import run_stream_server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
STATUS_200 = b"\x88"
"""The entry `:status: 200` of HPACK's static table."""


@asynccontextmanager
async def run_refusing_server(status: int, message: str) -> AsyncIterator[str]:
    """Run the server for the duration of the context and yield its `host:port`."""
    trailers = STATUS_200 + b"".join(
        _encode_header(name, value)
        for name, value in (
            ("content-type", "application/grpc"),
            ("grpc-status", str(status)),
            ("grpc-message", message),
        )
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(PREFACE))
        _write_frame(writer, SETTINGS)
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
            if kind in (SETTINGS, PING) and not flags & ACK:
                _write_frame(writer, kind, ACK, payload=payload if kind == PING else b"")
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                _write_frame(writer, HEADERS, END_STREAM | END_HEADERS, stream, trailers)

    async with run_stream_server(answer) as port:
        yield f"127.0.0.1:{port}"


def _write_frame(
    writer: asyncio.StreamWriter, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b""
) -> None:
    writer.write(len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload)


def _encode_header(name: str, value: str) -> bytes:
    """Encode a literal header without indexing; HPACK writes lengths under 127 as one byte."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
