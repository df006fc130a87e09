"""Limit what one workflow task sends before it yields to the server. Replay-sensitive."""

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.temporal.payloads import MAX_TASK_BYTES

YIELD_SECONDS = 0.001
"""The shortest timer: it ends the workflow task."""


class TaskBudget:
    """Counts the bytes that the current workflow task sends."""

    def __init__(self) -> None:
        self._task = (-1, 0)
        """The history length that identifies the task, and the bytes it has sent."""

    async def take(self, arg: RawValue) -> None:
        """Wait for the next workflow task where this one has no budget left for the argument."""
        size = len(arg.payload.data)
        while True:
            # The history grows between workflow tasks only, also in a replay.
            length = workflow.info().get_current_history_length()
            used = self._task[1] if self._task[0] == length else 0
            # The first argument always goes: it is below MAX_PAYLOAD_BYTES, and no later task has a larger budget.
            if used == 0 or used + size <= MAX_TASK_BYTES:
                self._task = (length, used + size)
                return
            await workflow.sleep(YIELD_SECONDS)
