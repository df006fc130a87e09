"""Run coroutines beside each other, in an order that a replay repeats.

No `asyncio.wait`, `TaskGroup` or `as_completed`: they walk in heap order. Replay-sensitive.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from orchestrator.model.plan import IN_FLIGHT_LIMIT


async def run_pool(
    indices: range,
    limit: int,
    run: Callable[[int], Coroutine[Any, Any, Any] | None],
    ended: Callable[[int, Any], bool],
    *,
    hold: Callable[[], bool] | None = None,
    drained: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """Run `run(i)` for each index, at most `limit` at a time, launched in order.

    `ended(i, result)` is told of each end, in the order they happen; true launches no more and cancels the
    rest, in order, and waits for them (their results are told too). `run` may answer `None`: there is no more.
    When `hold()` is true before a launch, what is in flight ends first and `drained(next index)` is awaited; one
    more is launched then in any case, so that the flow goes on where nothing could be done about it.
    """
    pool = _Pool(ended)
    limit = min(limit, IN_FLIGHT_LIMIT)
    queue = iter(indices)
    upcoming = next(queue, None)
    held = False
    try:
        while True:
            holding = False
            while upcoming is not None and len(pool.tasks) < limit:
                if hold is not None and not held and hold():
                    holding = True
                    break
                held = False
                coroutine = run(upcoming)
                if coroutine is None:
                    upcoming = None
                    break
                pool.launch(upcoming, coroutine)
                upcoming = next(queue, None)
            if pool.tasks:
                if await pool.collect(drain=holding):
                    return
            elif not holding:
                return
            if holding and drained is not None and upcoming is not None:
                await drained(upcoming)
                held = True
    finally:
        if not is_discarded():
            await pool.cancel()


def is_discarded() -> bool:
    """Tell, where a flow is left, that it is thrown away as it is: a stopping worker does so, and nothing can wait."""
    return isinstance(sys.exception(), GeneratorExit)


class _Pool:
    """Tasks in flight and the queue of those that have ended."""

    def __init__(self, ended: Callable[[int, Any], bool]) -> None:
        self.ended = ended
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.done: deque[int] = deque()
        self.wake = asyncio.Event()

    def launch(self, index: int, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks[index] = task

        def finished(_: object) -> None:
            self.done.append(index)
            self.wake.set()

        task.add_done_callback(finished)

    async def collect(self, *, drain: bool) -> bool:
        """Wait for one task, or with `drain` for all; tell whether to stop."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            while self.done:
                index = self.done.popleft()
                if self.ended(index, self.tasks.pop(index).result()):
                    return True
            if not drain or not self.tasks:
                return False

    async def cancel(self) -> None:
        """End what is still in flight, in order, and tell its results."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        for index, task in self.tasks.items():
            if not task.cancelled() and task.exception() is None:
                self.ended(index, task.result())
        self.tasks.clear()
