"""Start Temporal, a client and a worker for one state folder, for `dev` and `run --server embedded`."""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from activities.registry import Registry
from api.serve import serve_temporal_page
from orchestrator.cli.failures import UsageError
from orchestrator.cli.running_dev import LOCK_FILE
from orchestrator.errors import OrchestratorError, ServerUnavailable
from orchestrator.settings import Settings
from orchestrator.store.home import create_private_file, locate_payloads, read_approval_secret, secure_home
from orchestrator.temporal.client.connection import connect, read_namespace_id
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import NAMESPACE, DevServer, run_dev_server, stop_leftover_server
from orchestrator.temporal.payload_store.codec import decode_payloads
from orchestrator.temporal.payload_store.driver import build_data_converter, require_store
from orchestrator.temporal.worker import run_worker

UI_SECONDS = 20.0
BODY_BYTES = 8 * 1_048_576
"""Limit of requests to the API of `dev`: as large as the values that its payload store takes."""


class HomeInUseError(OrchestratorError):
    """Another process uses this state folder."""

    code = "home_in_use"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running embedded server with its client."""

    server: DevServer
    settings: Settings
    """The settings of the caller, with the address of the embedded server."""
    runs: Runs


@asynccontextmanager
async def run_embedded(
    settings: Settings,
    registry: Registry,
    *,
    port: int = 0,
    ui_port: int = 0,
    on_restart: Callable[[DevServer], None] = lambda _: None,
) -> AsyncIterator[EmbeddedServer]:
    """Run the server for the duration of the context; then stop worker, client and server, in that order.

    The caller holds the lock of the state folder.
    """
    await stop_leftover_server(settings.home)
    _require_free_port(port, "--temporal-port")
    _require_free_port(ui_port, "--ui-port")
    is_body_limited = "max_body_bytes" in settings.model_fields_set
    payload_store = settings.payload_store or locate_payloads(settings.home)
    converter = build_data_converter(settings.model_copy(update={"payload_store": payload_store}))
    async with (
        run_dev_server(settings.home, port=port, on_restart=on_restart) as server,
        serve_temporal_page(server.ui_url, ui_port, partial(decode_payloads, converter)) as ui_url,
    ):
        own_ports = *server.ports, urlsplit(ui_url).port or 0
        here = settings.model_copy(
            update={
                "temporal_address": server.address,
                "temporal_namespace": NAMESPACE,
                "temporal_tls": False,
                "temporal_api_key": None,
                "ui_url": ui_url,
                "payload_store": payload_store,
                "max_body_bytes": settings.max_body_bytes if is_body_limited else BODY_BYTES,
                "approval_secret": settings.approval_secret or SecretStr(read_approval_secret(settings.home)),
                "http_blocked_ports": (*settings.http_blocked_ports, *own_ports),
            }
        )
        client = await connect(here)
        await require_store(here, await read_namespace_id(client))
        async with run_worker(client, here, registry):
            await _wait_until_ui_answers(server.ui_url)
            yield EmbeddedServer(server, here, Runs(client, here))


@contextmanager
def lock_home(home: Path) -> Iterator[None]:
    """Lock the folder: two servers on one database would stop each other. The lock ends with the process."""
    with create_home_file(home / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            hint = "stop it, or set ORCHESTRATOR_HOME to another folder"
            raise HomeInUseError(f"process {file.read().strip()} is already using {home}", hint=hint) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def create_home_file(file: Path) -> Path:
    """Create a file in the state folder, and the folder; raises UsageError where that fails."""
    try:
        secure_home(file.parent)
        create_private_file(file)
    except OSError as error:
        raise UsageError(f"cannot use {file.parent} as the state folder: {error.strerror}") from None
    return file


def _require_free_port(port: int, option: str) -> None:
    if not is_port_free(port):
        raise UsageError(f"port {port} is already in use", hint=f"{option} 0 picks a free port")


def is_port_free(port: int) -> bool:
    """Return whether a port of this machine is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _wait_until_ui_answers(url: str) -> None:
    """Wait until the Web UI lists workflows; raises ServerUnavailable after UI_SECONDS.

    It answers 503 until it has connected to the server, a moment after its page is served.
    """
    path = f"/api/v1/namespaces/{NAMESPACE}/workflows"
    try:
        async with asyncio.timeout(UI_SECONDS), httpx.AsyncClient(base_url=url, trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(path)).is_success:
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise ServerUnavailable(f"the Temporal Web UI at {url} is not responding") from None
