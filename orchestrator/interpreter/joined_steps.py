"""Join the steps of the executions of a flow, from the newest back: each execution has its own.

Steps are numbered over all executions. One that was in progress when the run continued as new is in several: the newest
of them knows how it went on.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from orchestrator.model.run_paths import is_inside


class HasPath(Protocol):
    """A step, or the document of one."""

    @property
    def id(self) -> str:
        """ID of the step."""

    @property
    def path(self) -> str:
        """Path of the iteration or branch that it is in."""


S = TypeVar("S", bound=HasPath)


class JoinedSteps(Generic[S]):
    """The newest steps of a flow, as far as its executions have been added."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Number of steps to keep."""
        self._steps: dict[tuple[int, str], S] = {}
        """By number and ID: a rerun may have given the number of a step that it repeats to another one."""
        self._drops: list[tuple[str, int]] = []

    @property
    def is_full(self) -> bool:
        """Whether executions before have no steps to be kept."""
        return len(self._steps) >= self.limit

    def add_earlier(self, steps: Iterable[tuple[int, S]], drops: Iterable[tuple[str, int]]) -> None:
        """Add the steps of the execution before, by number, and where it went back (`RunState.drops`)."""
        for number, step in steps:
            if (number, step.id) not in self._steps and not self._is_dropped(number, step.path):
                self._steps[number, step.id] = step
        self._drops += drops

    def list_newest(self) -> list[tuple[int, S]]:
        """Return the steps to keep, by number."""
        newest = sorted(self._steps.items(), key=lambda entry: entry[0][0])[-max(self.limit, 1) :]
        return [(number, step) for (number, _), step in newest]

    def _is_dropped(self, number: int, path: str) -> bool:
        return any(number >= first and is_inside(path, dropped) for dropped, first in self._drops)
