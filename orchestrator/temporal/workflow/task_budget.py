"""Limit what one workflow task sends, and how long its local actions hold it. Replay-sensitive."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.temporal.payloads import MAX_TASK_BYTES, PLAIN_BYTES

YIELD_SECONDS = 0.001
"""The shortest timer: it ends the workflow task."""
LOCAL_TIME = timedelta(seconds=1)
"""How long local actions may hold a workflow task: signals, updates and queries wait until it ends."""


class TaskBudget:
    """Counts what the current workflow task sends and how long it has lasted."""

    def __init__(self, *, has_payload_store: bool = False) -> None:
        self._max_counted = PLAIN_BYTES if has_payload_store else MAX_TASK_BYTES
        """What one payload takes of a task at most: a reference to it is sent where it is larger."""
        self._task = (-1, 0)
        """The history length that identifies the task, and the bytes it has sent."""
        self._first_local: tuple[int, datetime] | None = None
        """The task in which a local action was last scheduled, and when its first one was."""

    def is_held_by_local_actions(self) -> bool:
        """Return, before a local action, whether those before it have held the workflow task for long enough."""
        # The clock of a workflow stands still within a task, but for local actions: their markers have the time of
        # their ends, so that a replay reads the same.
        length, now = workflow.info().get_current_history_length(), workflow.now()
        if self._first_local is None or self._first_local[0] != length:
            self._first_local = (length, now)
        return now - self._first_local[1] >= LOCAL_TIME

    def record_result(self, size: int) -> None:
        """Count the result of a local activity: it is sent when the workflow task ends."""
        length = workflow.info().get_current_history_length()
        used = self._task[1] if self._task[0] == length else 0
        self._task = (length, used + min(size, self._max_counted))

    def is_half_used(self) -> bool:
        """Return whether the result of another segment might not fit into the workflow task."""
        return self._task[0] == workflow.info().get_current_history_length() and self._task[1] > MAX_TASK_BYTES // 2

    async def take(self, *args: RawValue) -> None:
        """Wait for the next workflow task where this one has no budget left for the arguments."""
        size = sum(min(len(arg.payload.data), self._max_counted) for arg in args)
        while True:
            # The history grows between workflow tasks only, also in a replay.
            length = workflow.info().get_current_history_length()
            used = self._task[1] if self._task[0] == length else 0
            # What comes first always goes: it is below MAX_PAYLOAD_BYTES, and no later task has a larger budget.
            if used == 0 or used + size <= MAX_TASK_BYTES:
                self._task = (length, used + size)
                return
            await workflow.sleep(YIELD_SECONDS)
