"""Show the progress of a run: a live table on a terminal, one line per finished step in a pipe."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli.output import STYLES, choose_style, clean, is_terminal, make_console, print_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.model.run import Run, StepDocument

SHOWN_STATUSES = frozenset({"completed", "failed", "cancelled", "skipped", "waiting", "retrying"})
"""Statuses that get a line."""


class Progress:
    """Shows the progress of a run; this base class shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, also before the run has ended."""

    def show(self, run: "Run") -> None:
        """Show the current state of the run."""


def choose_progress(*, quiet: bool = False) -> Progress:
    """Return the display for a terminal or a pipe; `quiet` shows nothing."""
    if quiet:
        return Progress()
    return LiveProgress() if is_terminal() else LineProgress()


class LineProgress(Progress):
    """Prints a line when a step ends, waits or is retried."""

    def __init__(self) -> None:
        self._last_status: dict[str, str] = {}
        """The status printed last, by step ID."""

    def show(self, run: "Run") -> None:
        """Print the steps whose status has changed."""
        from orchestrator.cli.trace import format_step

        for step in run.steps:
            if step.status in SHOWN_STATUSES and self._last_status.get(step.id) != step.status:
                self._last_status[step.id] = step.status
                for text in format_step(step, run.started_at, 44):
                    print_line(text, choose_style(text, run.status))


class LiveProgress(Progress):
    """Redraws the newest steps in place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = make_console()
        self._live = Live(console=self._console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and leave the last table on the screen."""
        self._live.__exit__(kind, error, trace)

    def show(self, run: "Run") -> None:
        """Redraw the table."""
        self._live.update(draw_run(run, max(self._console.height - 4, 5)))


def draw_run(run: "Run", height: int) -> "RenderableType":
    """Return a table of the newest steps, with the status of the run below."""
    from rich.console import Group
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    from orchestrator.cli.trace import format_ending, order_steps

    steps = order_steps(run.steps)
    table = Table.grid(padding=(0, 2))
    for step in steps[-height:]:
        table.add_row(*format_step_cells(step))
    summary = Text(clean(format_ending(run)), style=STYLES.get(run.status, ""))
    last: Any = Spinner("dots", text=summary) if run.completed_at is None else summary
    hidden = len(steps) - height
    return Group(*([Text(f"… {hidden} earlier steps", style="dim")] if hidden > 0 else []), table, last)


def format_step_cells(step: "StepDocument") -> "list[RenderableType]":
    """Return a step as a row: status, ID, details."""
    from rich.text import Text

    from orchestrator.cli.trace import list_facts
    from orchestrator.service.explanations import format_line

    summary = ", ".join(list_facts(step))
    if step.error is not None:
        summary = f"{summary} {step.error['error_type']}: {format_line(step.error['message'])}".strip()
    style = STYLES.get(step.status, "")
    return [Text(step.status, style=style), Text(clean(step.id)), Text(clean(summary), style="dim")]
