"""Show a run while it goes: a living table on a terminal, one appended line a finished step in a pipe."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli.output import STYLES, clean, console, is_terminal, line, styled

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.model.run import Run, StepDocument

TOLD = frozenset({"completed", "failed", "cancelled", "skipped", "waiting", "retrying"})
"""Statuses that are worth a line."""


class Progress:
    """What is told of a run, again and again; this one is silent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, also in the middle."""

    def show(self, run: "Run") -> None:
        """Show how the run stands now."""


def progress(*, quiet: bool = False) -> Progress:
    """Choose by where stdout leads; `quiet` shows nothing."""
    if quiet:
        return Progress()
    return Living() if is_terminal() else Lines()


class Lines(Progress):
    """Appends a line when a step ends, waits or is tried again."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        """By step id: the status that was told last."""

    def show(self, run: "Run") -> None:
        """Tell what is new."""
        from orchestrator.cli.trace import step_lines

        for step in run.steps:
            if step.status in TOLD and self._told.get(step.id) != step.status:
                self._told[step.id] = step.status
                for text in step_lines(step, run.started_at, 44):
                    line(text, styled(text, run.status))


class Living(Progress):
    """Draws the steps in place; those that no longer fit scroll away as plain lines do."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = console()
        self._live = Live(console=self._console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        self._live.__exit__(kind, error, trace)

    def show(self, run: "Run") -> None:
        """Draw the newest steps."""
        self._live.update(drawn(run, max(self._console.height - 4, 5)))


def drawn(run: "Run", height: int) -> "RenderableType":
    """Draw a run: its newest steps, and how it stands."""
    from rich.console import Group
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    from orchestrator.cli.trace import ending, in_order

    steps = in_order(run.steps)
    table = Table.grid(padding=(0, 2))
    for step in steps[-height:]:
        table.add_row(*cells(step))
    said = Text(clean(ending(run)), style=STYLES.get(run.status, ""))
    last: Any = Spinner("dots", text=said) if run.completed_at is None else said
    hidden = len(steps) - height
    return Group(*([Text(f"… {hidden} earlier steps", style="dim")] if hidden > 0 else []), table, last)


def cells(step: "StepDocument") -> "list[RenderableType]":
    """Write a step as a row: status, id, what there is to say."""
    from rich.text import Text

    from orchestrator.cli.trace import facts, shortened

    said = ", ".join(facts(step))
    if step.error is not None:
        said = f"{said} {step.error['error_type']}: {shortened(step.error['message'])}".strip()
    style = STYLES.get(step.status, "")
    return [Text(step.status, style=style), Text(clean(step.id)), Text(clean(said), style="dim")]
