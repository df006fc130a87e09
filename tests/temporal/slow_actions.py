"""Slow actions: one that counts its calls, one that records when it was cancelled, and one that does not stop."""

import asyncio
import threading
import time

from pydantic import BaseModel

from activities.registry import ActionContext, action

begun = 0
ended = 0
endless_begun = False
cancelled_at: list[float] = []
"""Times of the monotonic clock."""


stubborn_begun, stubborn_gate, stubborn_ended = threading.Event(), threading.Event(), threading.Event()
was_cancelled: list[bool] = []


class Slow(BaseModel):
    """Duration in seconds."""

    seconds: float


class Nothing(BaseModel):
    """No parameters."""


class Slept(BaseModel):
    """Duration in seconds."""

    slept: float


@action("tests.slow")
async def slow(parameters: Slow) -> Slept:
    """Sleep."""
    global begun, ended
    begun += 1
    await asyncio.sleep(parameters.seconds)
    ended += 1
    return Slept(slept=parameters.seconds)


@action("tests.endless", timeout_seconds=120, heartbeat_seconds=60)
async def endless(parameters: Nothing) -> Slept:
    """Sleep until cancelled."""
    global endless_begun
    endless_begun = True
    try:
        await asyncio.sleep(120)
    except asyncio.CancelledError:
        cancelled_at.append(time.monotonic())
        raise
    return Slept(slept=120)


@action("tests.stubborn")
def stubborn(context: ActionContext) -> None:
    """Wait in a thread for the gate, whatever happens to the run."""
    stubborn_begun.set()
    stubborn_gate.wait(120)
    was_cancelled.append(context.cancelled)
    stubborn_ended.set()
