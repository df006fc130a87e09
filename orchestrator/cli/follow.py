"""Follow a run to its end, and show the result."""

import time
from typing import TYPE_CHECKING

from orchestrator.cli.output import STYLES, is_terminal, print_json, print_line, print_note
from orchestrator.cli.progress import choose_progress

if TYPE_CHECKING:
    from orchestrator.model.run import Run
    from orchestrator.temporal.client.runs import Runs

PATIENCE_SECONDS = 5.0
"""Time without any step after which a missing worker is suspected."""


async def follow(runs: "Runs", run_id: str, *, quiet: bool) -> "Run":
    """Show the progress of a run until it ends; return its last document."""
    started_at, warned = time.monotonic(), False
    with choose_progress(quiet=quiet) as display:
        async for run in runs.reader.watch(run_id):
            display.show(run)
            late = time.monotonic() - started_at > PATIENCE_SECONDS
            if late and not warned and not run.steps and run.completed_at is None:
                warned = True
                queue = runs.settings.task_queue
                print_note(
                    f"no worker is polling task queue {queue!r} yet: start one with `orchestrator worker`",
                    "yellow",
                )
    return run


def show_end(run: "Run", *, as_json: bool, status_shown: bool = True) -> None:
    """Print the status of an ended run, its output and its link.

    With `status_shown` a terminal shows the status already, in its live table.
    """
    from orchestrator.cli.trace import format_ending

    if as_json:
        print_json(run.model_dump(mode="json"))
        return
    if not (status_shown and is_terminal()):
        print_line(format_ending(run), STYLES.get(run.status))
    if run.output is not None:
        print_json(run.output)
    if "temporal_ui" in run.links:
        print_line(f"Temporal UI  {run.links['temporal_ui']}")
