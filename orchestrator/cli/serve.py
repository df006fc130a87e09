"""`dev`, `server`, `api` and `worker`: processes that run until a signal."""

import contextlib
import json
import logging
import os
import socket
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from orchestrator.cli.environment import load_actions, load_settings, share_payloads
from orchestrator.cli.files import require_writable
from orchestrator.cli.output import print_line
from orchestrator.cli.running_dev import (
    DEV_FILE,
    format_addresses,
    get_user_file,
    get_user_folder,
    remove_files_of_killed,
)
from orchestrator.cli.signals import Interrupted, run_until_signal
from orchestrator.store.home import secure_home

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.cli.embedded import EmbeddedServer
    from orchestrator.settings import Settings

logger = logging.getLogger(__name__)
EVENTS = "/api/v1/events"


def dev(
    home: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="State folder (.orchestrator by default).")
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the HTTP API; 0 picks a free port.")
    ] = 8080,
    temporal_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of Temporal; 0 picks a free port.")
    ] = 7233,
    ui_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the Temporal Web UI; 0 picks a free port.")
    ] = 8233,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the addresses of all services to this file as JSON, once they are ready."
        ),
    ] = None,
) -> None:
    """Run everything on this machine: Temporal, a worker, the API.

    The state folder holds all data: restart with the same one, even after a crash, and all runs continue.

    Actions may not call private addresses. ORCHESTRATOR_HTTP_ALLOWED_NETWORKS=127.0.0.0/8 opens every service of this
    machine to every workflow, except those of `dev` itself.
    """
    from api.serve import bind
    from orchestrator.cli.logs import configure

    loaded = load_settings().model_copy(update={} if home is None else {"home": home})
    with bind(loaded.api_host, port) as bound:
        settings = _add_own_address(loaded, bound)
        configure(settings.log_format, settings.log_level, metrics=True)
        _serve(_serve_all(settings, load_actions(settings), bound, temporal_port, ui_port, ready_file))


async def _serve_all(
    settings: "Settings",
    known: "Registry",
    bound: socket.socket,
    temporal_port: int,
    ui_port: int,
    ready_file: Path | None,
) -> None:
    from api.serve import serve_http
    from orchestrator.cli.embedded import lock_home, run_embedded
    from orchestrator.service.services import run_services

    # The lock comes first: the files are those of the `dev` that holds it.
    with lock_home(settings.home), Announcement(settings.home, ready_file) as announcement:
        async with (
            run_embedded(
                settings,
                known,
                port=temporal_port,
                ui_port=ui_port,
                on_restart=lambda server: announcement.write(temporal=server.pid),
            ) as running,
            run_services(running.settings, running.runs, known) as services,
            serve_http(services, bound) as address,
        ):
            announcement.publish(running, address)
            await _wait_for_signal()


def worker() -> None:
    """Run a worker, which executes workflows and actions.

    Set the server with ORCHESTRATOR_TEMPORAL_ADDRESS, the namespace with ORCHESTRATOR_TEMPORAL_NAMESPACE and the task
    queue with ORCHESTRATOR_TASK_QUEUE. ORCHESTRATOR_METRICS_ADDRESS serves metrics and a health check.
    """
    from api.serve import serve_metrics
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import wait_and_connect
    from orchestrator.temporal.worker import run_worker

    settings = share_payloads(load_settings())
    configure(settings.log_format, settings.log_level, metrics=settings.metrics_address is not None)
    known = load_actions(settings)

    async def serve() -> None:
        client = await wait_and_connect(settings)
        async with run_worker(client, settings, known), serve_metrics(settings.metrics_address):
            print_line(f"worker polls task queue {settings.task_queue!r} on {settings.temporal_address}")
            await _wait_for_signal()

    _serve(serve())


def api() -> None:
    """Run the HTTP API and its background tasks.

    These are schedules, events and the index of runs. Set the address with ORCHESTRATOR_API_HOST and
    ORCHESTRATOR_API_PORT. Several API processes can share a database.
    """
    _serve_api(with_worker=False)


def server() -> None:
    """Run the HTTP API and a worker in one process."""
    _serve_api(with_worker=True)


def _serve_api(*, with_worker: bool) -> None:
    from api.serve import bind, serve_http
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import run_services
    from orchestrator.temporal.client.connection import wait_and_connect
    from orchestrator.temporal.client.runs import Runs
    from orchestrator.temporal.worker import run_worker

    loaded = share_payloads(load_settings())
    with bind(loaded.api_host, loaded.api_port) as bound:
        settings = _add_own_address(loaded, bound) if with_worker else loaded
        configure(settings.log_format, settings.log_level, metrics=True)
        known = load_actions(settings)

        async def serve() -> None:
            client = await wait_and_connect(settings)
            async with contextlib.AsyncExitStack() as stack:
                if with_worker:
                    await stack.enter_async_context(run_worker(client, settings, known))
                services = await stack.enter_async_context(run_services(settings, Runs(client, settings), known))
                address = await stack.enter_async_context(serve_http(services, bound))
                if with_worker:
                    print_line(f"worker polls task queue {settings.task_queue!r} on {settings.temporal_address}")
                print_line(f"API listens on {address}")
                await _wait_for_signal()

        _serve(serve())


async def _wait_for_signal() -> None:
    """Wait until the command is interrupted: all that it needs has started."""
    import asyncio

    from api.serve import exclude_startup_from_collection

    with exclude_startup_from_collection():
        await asyncio.Event().wait()


def _serve(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Interrupted):
        run_until_signal(work)


def _add_own_address(settings: "Settings", bound: socket.socket) -> "Settings":
    """Add this API to the settings: `event.emit` posts there unless they name another URL, no other action may.

    Without this, an action could use the API as a local client, which needs no key as long as none exists.
    """
    port = bound.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api_host, settings.api_host)  # noqa: S104 - read, not bound
    host = f"[{host}]" if ":" in host else host
    return settings.model_copy(
        update={
            "api_port": port,
            "events_url": settings.events_url or f"http://{host}:{port}{EVENTS}",
            "public_url": settings.public_url or f"http://{host}:{port}",
            "http_blocked_ports": (*settings.http_blocked_ports, port),
        }
    )


class Announcement:
    """Publishes the addresses: on stdout, for other commands of this user, and in the ready file."""

    def __init__(self, home: Path, ready_file: Path | None) -> None:
        self.home = home.resolve()
        self.ready_file = ready_file
        self.addresses: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self.ready_file is not None:
            require_writable(self.ready_file, "--ready-file")
            # A file left by a killed process would look ready too early.
            self.ready_file.unlink(missing_ok=True)
        return self

    def __exit__(self, *raised: object) -> None:
        for file in (self.home / DEV_FILE, self.ready_file) if self.addresses else ():
            if file is not None:
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError, RuntimeError):
            get_user_file().unlink(missing_ok=True)

    def publish(self, running: "EmbeddedServer", api_address: str) -> None:
        """Print the addresses, and write the files."""
        server = running.server
        print_line(f"API          {api_address}  (documentation at /docs)")
        print_line(f"Temporal     {server.address}")
        print_line(f"Temporal UI  {running.settings.ui_url}")
        print_line(f"worker       task queue {running.settings.task_queue!r}")
        print_line(f"state        {self.home}")
        self.addresses = {
            "api": api_address,
            "temporal_address": server.address,
            "ui": running.settings.ui_url,
            "pids": {"dev": os.getpid(), "temporal": server.pid},
        }
        self.write()

    def write(self, **pids: int) -> None:
        """Write each file atomically, with other process IDs; does nothing before `publish`."""
        if not self.addresses:
            return
        self.addresses["pids"] |= pids
        content = format_addresses(self.addresses, self.home)
        _write_private_file(self.home / DEV_FILE, content)
        self._write_user_file(content)
        if self.ready_file is not None:
            _write_private_file(self.ready_file, json.dumps(self.addresses))

    def _write_user_file(self, content: str) -> None:
        """Write the file in the user's folder. A user without one, as in some containers, has no other terminals."""
        try:
            remove_files_of_killed()
            secure_home(get_user_folder())
            secure_home(get_user_file().parent)
            _write_private_file(get_user_file(), content)
        except (OSError, RuntimeError) as error:
            logger.info("other terminals do not find this process: %s", error)


def _write_private_file(file: Path, content: str) -> None:
    """Replace a file at once, for this user alone.

    A new file of an unpredictable name: the folder may be one where others write, and prepare a link.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as opened:
            opened.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
