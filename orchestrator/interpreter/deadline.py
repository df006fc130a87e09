"""Run a part of the flow against a timer. Replay-sensitive."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.interpreter.effects import Effects
from orchestrator.interpreter.pool import is_discarded

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The deadline came before the end."""


async def run_until(effects: Effects, deadline: datetime, title: str, work: Coroutine[Any, Any, T]) -> T:
    """Run the work, cancelled when the deadline comes first; raises DeadlineExceeded then, once the work has ended."""
    loop = asyncio.get_running_loop()
    flow = loop.create_task(work)
    seconds = max((deadline - effects.now()).total_seconds(), 0.0)
    timer = loop.create_task(effects.sleep(seconds, title))
    over = False

    def ring(task: "asyncio.Task[None]") -> None:
        nonlocal over
        if not task.cancelled() and task.exception() is None and not flow.done():
            over = True
            flow.cancel()

    timer.add_done_callback(ring)
    try:
        return await flow
    except asyncio.CancelledError:
        if not over:
            raise
        raise DeadlineExceeded from None
    finally:
        if not is_discarded():
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)
