"""Run coroutines concurrently, in an order that a replay repeats. Replay-sensitive.

No `asyncio.wait`, `TaskGroup` or `as_completed`: they iterate over sets of tasks, whose order is that of addresses in
memory, so a replay could start and cancel in another order than the history has. Here each task appends its index to
a queue when it is done, and the queue is read in that order. With three indices and a limit of two:

    launch 0, launch 1      both slots are taken
    1 is done               on_end(1, …), launch 2
    0 is done               on_end(0, …); true: nothing more is launched, 2 is cancelled and awaited, on_end(2, …)

A task's index is queued by its callback and its result read later, in the pool's own turn: callbacks run in the order
in which tasks end, and `on_end` never runs inside of one.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from orchestrator.model.plan import IN_FLIGHT_LIMIT

Launch = Callable[[int], Coroutine[Any, Any, Any] | None]
OnEnd = Callable[[int, Any], bool]


async def run_pool(
    indices: range,
    limit: int,
    launch: Launch,
    on_end: OnEnd,
    *,
    should_drain: Callable[[], bool] | None = None,
    on_drained: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """Run `launch(index)` for each index, at most `limit` at a time, launched in order.

    `launch` returns `None` when nothing is left. `on_end(index, result)` is called for each end, in the order in
    which they happen; when it returns true nothing more is launched and the rest is cancelled, in order, and awaited
    (`on_end` is called for its results too). A task that raises ends the pool the same way, with its error.

    When `should_drain()` is true before a launch, what is in flight ends first and `on_drained(next index)` is
    awaited. The next launch then does not ask again: a run that cannot continue as new has to make progress.
    """
    pool = _Pool(indices, min(limit, IN_FLIGHT_LIMIT), launch, on_end, should_drain)
    try:
        while True:
            draining = pool.fill()
            if not pool.tasks and not draining:
                return
            if pool.tasks and await pool.collect(drain=draining):
                return
            if draining and on_drained is not None and pool.upcoming is not None:
                await on_drained(pool.upcoming)
                pool.drained = True
    finally:
        if not is_discarded():
            await pool.cancel()


def is_discarded() -> bool:
    """Return, in a `finally`, whether the flow is thrown away as it is.

    A worker that evicts a workflow closes its coroutines: awaiting anything on GeneratorExit is a RuntimeError.
    """
    return isinstance(sys.exception(), GeneratorExit)


class _Pool:
    """Tasks in flight and the queue of those that have ended."""

    def __init__(
        self, indices: range, limit: int, launch: Launch, on_end: OnEnd, should_drain: Callable[[], bool] | None
    ) -> None:
        self.limit = limit
        self.launch = launch
        self.on_end = on_end
        self.should_drain = should_drain
        self.drained = False
        """The next launch does not ask `should_drain`."""
        self.queue = iter(indices)
        self.upcoming = next(self.queue, None)
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.done: deque[int] = deque()
        self.wake = asyncio.Event()

    def fill(self) -> bool:
        """Launch up to the limit; return whether to drain before the next launch."""
        while self.upcoming is not None and len(self.tasks) < self.limit:
            if self.should_drain is not None and not self.drained and self.should_drain():
                return True
            self.drained = False
            coroutine = self.launch(self.upcoming)
            if coroutine is None:
                self.upcoming = None
                break
            self.add(self.upcoming, coroutine)
            self.upcoming = next(self.queue, None)
        return False

    def add(self, index: int, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in a task."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks[index] = task

        def enqueue(_: object) -> None:
            self.done.append(index)
            self.wake.set()

        task.add_done_callback(enqueue)

    async def collect(self, *, drain: bool) -> bool:
        """Wait for one task, or with `drain` for all; return whether to stop."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            while self.done:
                index = self.done.popleft()
                if self.on_end(index, self.tasks.pop(index).result()):
                    return True
            if not drain or not self.tasks:
                return False

    async def cancel(self) -> None:
        """Cancel what is still in flight, in order, await it and report its results."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        for index, task in self.tasks.items():
            if not task.cancelled() and task.exception() is None:
                self.on_end(index, task.result())
        self.tasks.clear()
