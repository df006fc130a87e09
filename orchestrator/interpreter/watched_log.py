"""A log of steps that tells when one begins. Not part of a run: for those who read or simulate one."""

from collections import deque
from collections.abc import Callable

from orchestrator.interpreter.step_record import Step


class WatchedLog(deque[Step]):
    """Calls a function with each step that begins, also with those that going back takes off the record later."""

    def __init__(self, log: deque[Step], on_append: Callable[[Step], None]) -> None:
        super().__init__(log, log.maxlen)
        self._on_append = on_append

    def append(self, step: Step) -> None:
        """Add a step that begins now."""
        self._on_append(step)
        super().append(step)
