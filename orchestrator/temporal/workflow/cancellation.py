"""Count the cancellations of a flow around an await. Replay-sensitive.

`await handle`, of an activity or a child, awaits an asyncio task of the SDK's. When the flow is cancelled, asyncio
cancels that task; the SDK (1.35: `_await_temporal_operation` in temporalio/worker/_workflow_instance.py) catches the
CancelledError there, sends the cancellation command, and awaits the operation again. The await then ends as the
operation does, whatever became of the flow:

    flow       operation        await             so the flow
    cancelled  ends cancelled   raises its error  is cancelled
    cancelled  completes        returns           has lost its cancellation: `pass_on_cancellation`
    runs on    ends cancelled   raises its error  has a failed step

Only `cancelling()` of the flow's own task tells these apart. The SDK uncancels its own task and never the flow's, so
the count read before the await is lower than the one after it where a cancellation came meanwhile.
"""

import asyncio


def count_cancellations() -> int:
    """Return how many times the current flow has been cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def pass_on_cancellation(before: int) -> None:
    """Cancel the flow at its next await where it was cancelled since `before` was counted."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > before:
        task.cancel()
