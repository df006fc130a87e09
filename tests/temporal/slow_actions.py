"""An action that takes a while, and counts."""

import asyncio

from pydantic import BaseModel

from activities.registry import action

begun = 0
ended = 0


class Slow(BaseModel):
    """How long."""

    seconds: float


class Slept(BaseModel):
    """How long it was."""

    slept: float


@action("tests.slow")
async def slow(parameters: Slow) -> Slept:
    """Take a while."""
    global begun, ended
    begun += 1
    await asyncio.sleep(parameters.seconds)
    ended += 1
    return Slept(slept=parameters.seconds)
