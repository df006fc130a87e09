"""Await an activity or a child so that a cancellation does not cost its result. Replay-sensitive.

The handle of an operation is an asyncio task of the SDK's. Cancelling it sends the cancellation command and leaves
the handle waiting for how the operation ends, but only as long as the operation is open. Where its result has come in
the same workflow task, the SDK (1.35: `_await_temporal_operation` in temporalio/worker/_workflow_instance.py) ends
the handle as cancelled and the result is lost: the action has taken effect, and nothing would undo it. So the handle
is shielded, a result that is on its way is awaited for a few turns of the event loop, and only then is the operation
cancelled:

    flow       operation        `await_operation`  so the flow
    cancelled  ends cancelled   raises its error   is cancelled
    cancelled  completes        returns            records the step, and is cancelled before the next node
    runs on    ends cancelled   raises its error   has a failed step: the activity alone was cancelled

Only `cancelling()` of the flow's own task tells the first row from the last.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")

GIVEN_UP = "the calling run continued or failed without it"
"""Reason of a cancellation that no person has asked for: what was done is undone as after a failure."""

TURNS = 10
"""Turns of the event loop that a resolved operation may take to end its handle; the SDK takes three."""


def count_cancellations() -> int:
    """Return how many times the current flow has been cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def find_cancel_reason() -> str:
    """Return why children are cancelled: as this workflow was, or because their scope is given up."""
    reason = workflow.cancellation_reason()
    return GIVEN_UP if reason is None else reason


async def await_operation(handle: "asyncio.Task[T]", find_reason: Callable[[], str] | None = None) -> T:
    """Return the result of an operation; when cancelled, cancel it and return what it ends with all the same."""
    try:
        return await asyncio.shield(handle)
    except asyncio.CancelledError:
        await _let_end(handle)
    handle.cancel(find_reason and find_reason())  # does nothing where it has ended
    return await await_uncancelled(handle)


async def await_uncancelled(task: "asyncio.Task[T]") -> T:
    """Return the result of a task that a cancellation of the flow does not reach."""
    while not task.done():
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    return task.result()


async def _let_end(task: "asyncio.Task[Any]") -> None:
    for _ in range(TURNS):
        if task.done():
            return
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue
