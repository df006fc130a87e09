"""A slow action that counts its calls."""

import asyncio

from pydantic import BaseModel

from activities.registry import action

begun = 0
ended = 0


class Slow(BaseModel):
    """Duration in seconds."""

    seconds: float


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
