"""Slow actions: one that counts its calls, and one that records when it was cancelled."""

import asyncio
import time

from pydantic import BaseModel

from activities.registry import action

begun = 0
ended = 0
endless_begun = False
cancelled_at: list[float] = []
"""Times of the monotonic clock."""


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


@action("tests.endless", timeout_seconds=60, heartbeat_seconds=10)
async def endless(parameters: Nothing) -> Slept:
    """Sleep until cancelled."""
    global endless_begun
    endless_begun = True
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        cancelled_at.append(time.monotonic())
        raise
    return Slept(slept=60)
