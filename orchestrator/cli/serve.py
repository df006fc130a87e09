"""`dev`, `server`, `api` and `worker`: processes that serve until a signal ends them."""

import contextlib
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from orchestrator.cli.environment import DEV_FILE, load_actions, load_settings
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_line
from orchestrator.cli.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from orchestrator.cli.embedded import EmbeddedServer
    from orchestrator.settings import Settings

EVENTS = "/api/v1/events"


def dev(
    home: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the state is kept (.orchestrator).")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the HTTP API; 0 takes a free one.")] = 8080,
    temporal_port: Annotated[int, typer.Option(min=0, max=65535, help="Of Temporal; 0 takes a free one.")] = 7233,
    ui_port: Annotated[int, typer.Option(min=0, max=65535, help="Of its Web UI; 0 takes a free one.")] = 8233,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what listens where to it, as JSON.")
    ] = None,
) -> None:
    """Serve everything here: Temporal with its Web UI, a worker, and the HTTP API.

    The state is kept in a folder: started again with the same one, even after a kill, all runs go on.
    """
    import asyncio

    from api.serve import serve_http
    from orchestrator.cli.embedded import run_embedded
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import run_services

    named = load_settings().model_copy(update={"api_port": port, **({} if home is None else {"home": home})})
    settings = _with_events_url(named)
    configure(settings.log_format, settings.log_level, metrics=True)
    known = load_actions(settings)

    async def serve() -> None:
        with Announcement(settings.home, ready_file) as announcement:
            async with (
                run_embedded(settings, known, port=temporal_port, ui_port=ui_port) as running,
                run_services(running.settings, running.runs, known) as services,
                serve_http(services) as address,
            ):
                announcement.publish(running, address)
                await asyncio.Event().wait()

    _serve(serve())


def worker() -> None:
    """Serve runs and actions on a Temporal server.

    Which server, namespace and task queue: ORCHESTRATOR_TEMPORAL_ADDRESS, _NAMESPACE, ORCHESTRATOR_TASK_QUEUE.
    Metrics and health, where they are wanted: ORCHESTRATOR_METRICS_ADDRESS.
    """
    import asyncio

    from api.serve import serve_metrics
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.worker import run_worker

    settings = load_settings()
    configure(settings.log_format, settings.log_level, metrics=settings.metrics_address is not None)
    known = load_actions(settings)

    async def serve() -> None:
        client = await connect(settings)
        async with run_worker(client, settings, known), serve_metrics(settings.metrics_address):
            print_line(f"worker serves task queue {settings.task_queue!r} of {settings.temporal_address}")
            await asyncio.Event().wait()

    _serve(serve())


def api() -> None:
    """Serve the HTTP API on a Temporal server, with what goes on beside it: schedules, events, the index of runs.

    Where it listens: ORCHESTRATOR_API_HOST, ORCHESTRATOR_API_PORT. Several may serve from one database.
    """
    _serve_api(with_worker=False)


def server() -> None:
    """Serve the HTTP API and a worker on a Temporal server, in one process."""
    _serve_api(with_worker=True)


def _serve_api(*, with_worker: bool) -> None:
    import asyncio

    from api.serve import serve_http
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import run_services
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs
    from orchestrator.temporal.worker import run_worker

    settings = _with_events_url(load_settings()) if with_worker else load_settings()
    configure(settings.log_format, settings.log_level, metrics=True)
    known = load_actions(settings)

    async def serve() -> None:
        client = await connect(settings)
        async with contextlib.AsyncExitStack() as stack:
            if with_worker:
                await stack.enter_async_context(run_worker(client, settings, known))
            services = await stack.enter_async_context(run_services(settings, Runs(client, settings), known))
            address = await stack.enter_async_context(serve_http(services))
            if with_worker:
                print_line(f"worker serves task queue {settings.task_queue!r} of {settings.temporal_address}")
            print_line(f"API serves at {address}")
            await asyncio.Event().wait()

    _serve(serve())


def _serve(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Interrupted):
        run_until_signal(work)


def _with_events_url(settings: "Settings") -> "Settings":
    """Let `event.emit` of our worker reach our API, where no other place is named."""
    from orchestrator.temporal.devserver import find_free_port

    if settings.events_url is not None:
        return settings
    port = settings.api_port or find_free_port()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api_host, settings.api_host)  # noqa: S104 - read, not bound
    return settings.model_copy(update={"api_port": port, "events_url": f"http://{host}:{port}{EVENTS}"})


class Announcement:
    """Says where everything listens: to people, in the home for other commands, and in a file for programs."""

    def __init__(self, home: Path, ready_file: Path | None) -> None:
        self.files = [home / DEV_FILE, *([ready_file] if ready_file else [])]
        self.published = False

    def __enter__(self) -> Self:
        for file in self.files[1:]:
            if not file.parent.is_dir():
                raise UsageError(f"there is no folder {file.parent} for the ready file")
            # What a killed process has left would mislead whoever waits for the file.
            file.unlink(missing_ok=True)
        return self

    def __exit__(self, *raised: object) -> None:
        for file in self.files if self.published else ():
            file.unlink(missing_ok=True)

    def publish(self, running: "EmbeddedServer", api_address: str) -> None:
        """Print it, and write each file in one go."""
        server = running.server
        print_line(f"API          {api_address}  (description at /docs)")
        print_line(f"Temporal     {server.address}")
        print_line(f"Temporal UI  {server.ui_url}")
        print_line(f"worker       task queue {running.settings.task_queue!r}")
        print_line(f"state        {running.settings.home}")
        addresses = {
            "api": api_address,
            "temporal_address": server.address,
            "ui": server.ui_url,
            "pids": {"dev": os.getpid(), "temporal": server.pid},
        }
        self.published = True
        for file in self.files:
            beside = file.with_name(f"{file.name}.{os.getpid()}")
            beside.write_text(json.dumps(addresses))
            beside.replace(file)
