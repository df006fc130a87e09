"""Small things that both actions and children need: cancellations counted, ids kept short, room in a task.

Replay-sensitive.
"""

import asyncio
from hashlib import sha256

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.temporal.payloads import MAX_TASK_BYTES

BREATH_SECONDS = 0.001
"""The shortest timer: it ends the workflow task."""
MAX_ID = 400
"""Temporal takes ids of 1,000; longer ones than this end in a digest."""


def cancels() -> int:
    """Give how often the current flow has been cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def pass_on(before: int) -> None:
    """Cancel the flow at its next wait when what it awaited has ended on its own all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > before:
        task.cancel()


def shortened(name: str) -> str:
    """Keep an id within Temporal's limit."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[:MAX_ID]}~{sha256(name.encode()).hexdigest()[:16]}"


class Room:
    """Counts what the current workflow task sends: a gRPC message holds 4 MiB."""

    def __init__(self) -> None:
        self._task = (-1, 0)

    async def take(self, arg: RawValue) -> None:
        """Wait for another workflow task where this one could not send so much."""
        size = len(arg.payload.data)
        while True:
            length = workflow.info().get_current_history_length()
            sent = self._task[1] if self._task[0] == length else 0
            if sent == 0 or sent + size <= MAX_TASK_BYTES:
                self._task = (length, sent + size)
                return
            await workflow.sleep(BREATH_SECONDS)
