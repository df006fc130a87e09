"""`dev` and `worker`: processes that serve until a signal ends them."""

import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from orchestrator.cli.catalogue import registry, settings
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import line, note

if TYPE_CHECKING:
    from orchestrator.cli.embedded import Embedded


def dev(
    home: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the state is kept (.orchestrator).")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the HTTP API, which this version lacks.")] = 8080,
    temporal_port: Annotated[int, typer.Option(min=0, max=65535, help="Of Temporal; 0 takes a free one.")] = 7233,
    ui_port: Annotated[int, typer.Option(min=0, max=65535, help="Of its Web UI; 0 takes a free one.")] = 8233,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what listens where to it, as JSON.")
    ] = None,
) -> None:
    """Serve everything here: Temporal with its Web UI, and a worker.

    The state is kept in a folder: started again with the same one, even after a kill, all runs go on.
    """
    from orchestrator.cli.embedded import embedded
    from orchestrator.cli.logs import configure

    given = settings()
    given = given if home is None else given.model_copy(update={"home": home})
    configure(given.log_format, given.log_level)
    known = registry(given)

    async def serve() -> None:
        with Announcement(ready_file) as announcement:
            async with embedded(given, known, port=temporal_port, ui_port=ui_port) as running:
                announcement.tell(running)
                await asyncio.Event().wait()

    until_signal(serve())


def worker() -> None:
    """Serve runs and actions on a Temporal server.

    Which server, namespace and task queue: ORCHESTRATOR_TEMPORAL_ADDRESS, _NAMESPACE, ORCHESTRATOR_TASK_QUEUE.
    """
    from orchestrator.cli.logs import configure
    from orchestrator.client import connect
    from orchestrator.worker import running_worker

    given = settings()
    configure(given.log_format, given.log_level)
    known = registry(given)

    async def serve() -> None:
        client = await connect(given)
        async with running_worker(client, given, known):
            line(f"worker serves task queue {given.task_queue!r} of {given.temporal_address}")
            await asyncio.Event().wait()

    until_signal(serve())


def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM, then let the work clean up; it does so once, further signals change nothing."""
    stopping = False

    async def supervise() -> None:
        task = asyncio.create_task(work)

        def stop() -> None:
            nonlocal stopping
            if not stopping:
                stopping = True
                note("stopping ...")
                task.cancel()

        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not stopping:
                raise

    asyncio.run(supervise())


class Announcement:
    """Says where everything listens, to people and in a file for programs."""

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def __enter__(self) -> Self:
        if self.file is not None and not self.file.parent.is_dir():
            raise UsageError(f"there is no folder {self.file.parent} for the ready file")
        # What a killed process has left would mislead whoever waits for the file.
        self._remove()
        return self

    def __exit__(self, *raised: object) -> None:
        self._remove()

    def tell(self, running: "Embedded") -> None:
        """Print it, and write the file in one go."""
        server = running.server
        line(f"Temporal     {server.address}")
        line(f"Temporal UI  {server.ui_url}")
        line(f"worker       task queue {running.settings.task_queue!r}")
        line(f"state        {running.settings.home}")
        if self.file is None:
            return
        said = {
            "temporal_address": server.address,
            "ui": server.ui_url,
            "pids": {"dev": os.getpid(), "temporal": server.pid},
        }
        beside = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        beside.write_text(json.dumps(said))
        beside.replace(self.file)

    def _remove(self) -> None:
        if self.file is not None:
            self.file.unlink(missing_ok=True)
