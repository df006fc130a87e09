"""Serve the API until the block ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from api.app import create_app, create_metrics_app
from orchestrator.errors import OrchestratorError
from orchestrator.service.services import Services

GRACE_SECONDS = 5
BACKLOG = 1024


class AddressInUse(OrchestratorError):
    """The API cannot listen where it should."""

    code = "address_in_use"


class _Server(uvicorn.Server):
    """Leaves signals to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@asynccontextmanager
async def serve_http(services: Services) -> AsyncIterator[str]:
    """Serve the API, and give its address; connections are let finish for a moment at the end."""
    async with _run_server(create_app(services), services.settings.api_host, services.settings.api_port) as address:
        yield address


@asynccontextmanager
async def serve_metrics(address: str | None) -> AsyncIterator[None]:
    """Serve metrics and health of a process without an API, where that is wanted; raises AddressInUse."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise AddressInUse(
            f"{address!r} is no address to listen on", hint="ORCHESTRATOR_METRICS_ADDRESS=127.0.0.1:9464"
        )
    async with _run_server(create_metrics_app(), host.strip("[]") or "127.0.0.1", int(port)):
        yield


@asynccontextmanager
async def _run_server(app: FastAPI, host: str, port: int) -> AsyncIterator[str]:
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        backlog=BACKLOG,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        host, port = listening.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        await task


def _listen(host: str, port: int) -> socket.socket:
    """Listen before anything is promised; raises AddressInUse."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressInUse(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            hint="`--port 0` of `dev`, or ORCHESTRATOR_API_PORT=0, takes a free one",
        ) from None
    # asyncio does so only where a socket names its protocol; without it an answer in two parts waits for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
