"""Follow a run to its end, and show the result."""

import shlex
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from orchestrator.cli.output import STYLES, is_terminal, print_json, print_line, print_note
from orchestrator.cli.progress import choose_progress
from orchestrator.cli.signals import Interrupted

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient
    from orchestrator.model.run import Run

PATIENCE_SECONDS = 5.0
"""Time without any step after which a missing worker is suspected."""


def follow(client: "ApiClient", run_id: str, *, quiet: bool) -> "Run":
    """Show the progress of a run until it ends; return its last document."""
    try:
        return show_progress(client.watch_run(run_id), quiet=quiet)
    except Interrupted:
        print_note(f"the run continues; follow it with: orchestrator runs watch {shlex.quote(run_id)}")
        raise


def show_progress(documents: "Iterable[Run | None]", *, quiet: bool) -> "Run":
    """Show each document of a run, the last of which is returned."""
    start, warned, last = time.monotonic(), False, None
    with choose_progress(quiet=quiet) as display:
        for run in documents:
            if run is None:
                print_note("the API does not answer; waiting for it", "yellow")
                continue
            display.show(run)
            late = time.monotonic() - start > PATIENCE_SECONDS
            if late and not warned and not run.steps and run.completed_at is None:
                warned = True
                print_note("no worker has taken the run yet: is `orchestrator worker` running?", "yellow")
            last = run
    if last is None:
        raise ValueError("a run without a document")
    return last


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
    for text in suggest_commands(run):
        print_note(text)


def suggest_commands(run: "Run") -> Iterator[str]:
    """Yield the commands that continue a run which waits for an operator, or which has failed."""
    run_id = shlex.quote(run.id)
    for wait in run.waiting_for:
        if wait.get("kind") == "operator":
            step = shlex.quote(wait["step_id"])
            yield f"continue it with: orchestrator runs resolve {run_id} {step} retry|skip|fallback|abort"
    if run.status == "failed":
        yield f"see its steps with: orchestrator runs show {run_id}"
        yield f"when the cause is gone, continue it with: orchestrator runs rerun {run_id}"
