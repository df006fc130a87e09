"""Run the HTTP servers for the duration of a context."""

import asyncio
import contextlib
import gc
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Literal, cast

import uvicorn
from starlette.applications import Starlette

from api.app import create_app, create_metrics_app
from api.connections import ConnectionLimits, GuardedProtocol
from api.temporal_page import DecodePayloads, create_temporal_page
from orchestrator.errors import OrchestratorError
from orchestrator.service.services import Services

GRACE_SECONDS = 5
BACKLOG = 1024
OTHER_FILES = 500
"""Files that are open besides the connections of clients: those of databases, of Temporal and of actions."""
DEFAULT_LIMITS = ConnectionLimits()


class AddressInUse(OrchestratorError):
    """The address cannot be listened on."""

    code = "address_in_use"


class _Server(uvicorn.Server):
    """A server that leaves signal handling to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


@asynccontextmanager
async def serve_http(services: Services, bound: socket.socket) -> AsyncIterator[str]:
    """Serve the API and yield its address; at the end, open requests have a few seconds to finish."""
    limits = ConnectionLimits(services.settings.max_connections)
    async with _run_server(create_app(services), bound, limits=limits) as address:
        try:
            yield address
        finally:
            services.stopping.set()


@contextmanager
def exclude_startup_from_collection() -> Iterator[None]:
    """Let the garbage collector pass over the objects that exist now: modules, tables, routes.

    A request of many small values starts a full collection, which holds the event loop: 100 ms of 116 for an event with
    55,000 keys. So do the runs of a worker: 70 ms for every 30 runs of 20 branches, an eighth of what they take.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@asynccontextmanager
async def serve_metrics(address: str | None) -> AsyncIterator[None]:
    """Serve the metrics and health of a process without an API, if an address is set; raises AddressInUse."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    async with _run_server(create_metrics_app(), bind(host.strip("[]"), int(port))):
        yield


@asynccontextmanager
async def serve_temporal_page(target: str, port: int, decode: DecodePayloads) -> AsyncIterator[str]:
    """Serve Temporal's Web UI, which listens at `target`, to this machine, and yield its address."""
    async with _run_server(create_temporal_page(target, decode), bind("127.0.0.1", port), lifespan="on") as address:
        yield address


@asynccontextmanager
async def _run_server(
    app: Starlette,
    bound: socket.socket,
    lifespan: Literal["on", "off"] = "off",
    limits: ConnectionLimits = DEFAULT_LIMITS,
) -> AsyncIterator[str]:
    host, port = bound.getsockname()[:2]
    _listen(bound)
    _raise_file_limit(limits.max_connections + OTHER_FILES)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        backlog=BACKLOG,
        http=cast("type[asyncio.Protocol]", partial(GuardedProtocol, limits=limits)),
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        await task


def _raise_file_limit(files: int) -> None:
    """Raise the limit of open files as far as the system allows: without one, no connection is accepted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket and thereby reserve its port; connections are refused until the socket is served.

    Port 0 is any free one. Raises AddressInUse.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with contextlib.ExitStack() as failed:
            bound = failed.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if port:  # connections of an earlier process may still be closing; two may bind, but only one listens
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((host, port))
            failed.pop_all()
    except OSError as error:
        raise _describe_taken(host, port, error) from None
    except UnicodeError:  # the host cannot be encoded as a domain name: it has an empty or overlong label
        raise AddressInUse(f"cannot listen on {host}:{port}: {host!r} is not a host name") from None
    # asyncio sets this only on sockets that name their protocol; without it a response in two parts waits 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def _listen(bound: socket.socket) -> None:
    """Listen before the server starts, so that a port taken by another process is an error here; AddressInUse."""
    host, port = bound.getsockname()[:2]
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise _describe_taken(host, port, error) from None


def _describe_taken(host: str, port: int, error: OSError) -> AddressInUse:
    hint = "`dev --port 0` or ORCHESTRATOR_API_PORT=0 takes any free port"
    return AddressInUse(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint)
