"""Serve the API until the block ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from api.app import create_app
from orchestrator.errors import OrchestratorError
from orchestrator.service.house import House

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
async def served(house: House) -> AsyncIterator[str]:
    """Listen, and give the address; connections are let finish for a moment at the end."""
    listening = _listen(house.settings.api_host, house.settings.api_port)
    config = uvicorn.Config(
        create_app(house),
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
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressInUse(
            f"the API cannot listen on {host}:{port}: {error.strerror}",
            hint="`--port 0` of `dev`, or ORCHESTRATOR_API_PORT=0, takes a free one",
        ) from None
