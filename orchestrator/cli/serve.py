"""`dev`, `server`, `api` and `worker`: processes that serve until a signal ends them."""

import contextlib
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from orchestrator.cli.environment import DEV_FILE, registry, settings
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import line
from orchestrator.cli.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from orchestrator.cli.embedded import Embedded
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

    from api.serve import served
    from orchestrator.cli.embedded import embedded
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import serving

    named = settings().model_copy(update={"api_port": port, **({} if home is None else {"home": home})})
    given = _hearing_itself(named)
    configure(given.log_format, given.log_level, metrics=True)
    known = registry(given)

    async def serve() -> None:
        with Announcement(given.home, ready_file) as announcement:
            async with (
                embedded(given, known, port=temporal_port, ui_port=ui_port) as running,
                serving(running.settings, running.runs, known) as house,
                served(house) as address,
            ):
                announcement.tell(running, address)
                await asyncio.Event().wait()

    _serve(serve())


def worker() -> None:
    """Serve runs and actions on a Temporal server.

    Which server, namespace and task queue: ORCHESTRATOR_TEMPORAL_ADDRESS, _NAMESPACE, ORCHESTRATOR_TASK_QUEUE.
    Metrics and health, where they are wanted: ORCHESTRATOR_METRICS_ADDRESS.
    """
    import asyncio

    from api.serve import told
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.worker import running_worker

    given = settings()
    configure(given.log_format, given.log_level, metrics=given.metrics_address is not None)
    known = registry(given)

    async def serve() -> None:
        client = await connect(given)
        async with running_worker(client, given, known), told(given.metrics_address):
            line(f"worker serves task queue {given.task_queue!r} of {given.temporal_address}")
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

    from api.serve import served
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import serving
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs
    from orchestrator.temporal.worker import running_worker

    given = _hearing_itself(settings()) if with_worker else settings()
    configure(given.log_format, given.log_level, metrics=True)
    known = registry(given)

    async def serve() -> None:
        client = await connect(given)
        async with contextlib.AsyncExitStack() as stack:
            if with_worker:
                await stack.enter_async_context(running_worker(client, given, known))
            house = await stack.enter_async_context(serving(given, Runs(client, given), known))
            address = await stack.enter_async_context(served(house))
            if with_worker:
                line(f"worker serves task queue {given.task_queue!r} of {given.temporal_address}")
            line(f"API serves at {address}")
            await asyncio.Event().wait()

    _serve(serve())


def _serve(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Interrupted):
        run_until_signal(work)


def _hearing_itself(given: "Settings") -> "Settings":
    """Let `event.emit` of our worker reach our API, where no other place is named."""
    from orchestrator.temporal.devserver import free_port

    if given.events_url is not None:
        return given
    port = given.api_port or free_port()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(given.api_host, given.api_host)  # noqa: S104 - read, not bound
    return given.model_copy(update={"api_port": port, "events_url": f"http://{host}:{port}{EVENTS}"})


class Announcement:
    """Says where everything listens: to people, in the home for other commands, and in a file for programs."""

    def __init__(self, home: Path, ready_file: Path | None) -> None:
        self.files = [home / DEV_FILE, *([ready_file] if ready_file else [])]
        self.told = False

    def __enter__(self) -> Self:
        for file in self.files[1:]:
            if not file.parent.is_dir():
                raise UsageError(f"there is no folder {file.parent} for the ready file")
            # What a killed process has left would mislead whoever waits for the file.
            file.unlink(missing_ok=True)
        return self

    def __exit__(self, *raised: object) -> None:
        for file in self.files if self.told else ():
            file.unlink(missing_ok=True)

    def tell(self, running: "Embedded", api_address: str) -> None:
        """Print it, and write each file in one go."""
        server = running.server
        line(f"API          {api_address}  (description at /docs)")
        line(f"Temporal     {server.address}")
        line(f"Temporal UI  {server.ui_url}")
        line(f"worker       task queue {running.settings.task_queue!r}")
        line(f"state        {running.settings.home}")
        said = {
            "api": api_address,
            "temporal_address": server.address,
            "ui": server.ui_url,
            "pids": {"dev": os.getpid(), "temporal": server.pid},
        }
        self.told = True
        for file in self.files:
            beside = file.with_name(f"{file.name}.{os.getpid()}")
            beside.write_text(json.dumps(said))
            beside.replace(file)
