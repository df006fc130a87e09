"""See a run through to its end, and show how it ended."""

import time
from typing import TYPE_CHECKING

from orchestrator.cli.output import STYLES, document, is_terminal, line, note
from orchestrator.cli.progress import progress

if TYPE_CHECKING:
    from orchestrator.model.run import Run
    from orchestrator.temporal.client.runs import Runs

PATIENCE_SECONDS = 5.0
"""A run that no worker has touched for so long deserves a word."""


async def follow(runs: "Runs", run_id: str, *, quiet: bool) -> "Run":
    """Show a run until it has ended; gives its last document."""
    begun, told = time.monotonic(), False
    with progress(quiet=quiet) as shown:
        async for run in runs.watch(run_id):
            shown.show(run)
            late = time.monotonic() - begun > PATIENCE_SECONDS
            if late and not told and not run.steps and run.completed_at is None:
                told = True
                queue = runs.settings.task_queue
                note(f"no worker answers on task queue {queue!r} yet: start one with `orchestrator worker`", "yellow")
    return run


def show_end(run: "Run", *, as_json: bool, told: bool = True) -> None:
    """Show how a run ended, its output and where to look further; `told`: a terminal has seen the first already."""
    from orchestrator.cli.trace import ending

    if as_json:
        document(run.model_dump(mode="json"))
        return
    if not (told and is_terminal()):
        line(ending(run), STYLES.get(run.status))
    if run.output is not None:
        document(run.output)
    if "temporal_ui" in run.links:
        line(f"Temporal UI  {run.links['temporal_ui']}")
