"""Run a part of the flow against a timer. Replay-sensitive."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.interpreter.effects import Effects
from orchestrator.interpreter.pool import is_discarded

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The deadline passed before the work ended."""


async def run_until(effects: Effects, deadline: datetime, title: str, work: Coroutine[Any, Any, T]) -> T:
    """Run the work and cancel it at the deadline; raises DeadlineExceeded once the cancelled work has ended.

    The work has a task of its own, so that it can be cancelled alone. `exceeded` tells the timer's cancellation from
    that of the run: both arrive here as CancelledError. Work that ends well although it was cancelled, because its
    last action could not be stopped, has exceeded the deadline all the same.
    """
    loop = asyncio.get_running_loop()
    flow = loop.create_task(work)
    seconds = max((deadline - effects.now()).total_seconds(), 0.0)
    timer = loop.create_task(effects.sleep(seconds, title))
    exceeded = False

    def cancel_flow(task: "asyncio.Task[None]") -> None:
        nonlocal exceeded
        # Timer and work may end in the same workflow task: what was done in time counts.
        if not task.cancelled() and task.exception() is None and not flow.done():
            exceeded = True
            flow.cancel()

    timer.add_done_callback(cancel_flow)
    try:
        result = await flow
    except asyncio.CancelledError:
        if not exceeded:
            raise
    finally:
        if not is_discarded():
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)
    if exceeded:
        raise DeadlineExceeded
    return result
