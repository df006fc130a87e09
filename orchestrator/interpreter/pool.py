"""Run coroutines concurrently, in an order that a replay repeats. Replay-sensitive.

No `asyncio.wait`, `TaskGroup` or `as_completed`: they iterate over sets of tasks, whose order is that of addresses in
memory, so a replay could start and cancel in another order than the history has. Here `on_end` is called in the order
in which coroutines end, as the last thing that each one does. With three indices and a limit of two:

    launch 0, launch 1      both slots are taken
    1 ends                  on_end(1, …), then launch 2 in the pool's own turn
    0 ends                  on_end(0, …); true: nothing more is launched, 2 is cancelled at once

"At once" is before any other coroutine gets a turn: of two branches that race, and whose events arrive in the same
moment, the second one starts no further node. For the same reason a pool that is cancelled from outside cancels its
tasks right away, not in its own next turn (`CancelForwarder`).
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

Launch = Callable[[int], Coroutine[Any, Any, Any] | None]
OnEnd = Callable[[int, Any], bool]


async def run_pool(
    indices: Iterable[int],
    limit: int,
    launch: Launch,
    on_end: OnEnd,
    *,
    may_leave: Callable[[], bool] = lambda: False,
) -> "list[asyncio.Task[None]]":
    """Run `launch(index)` for each index, at most `limit` at a time, launched in order.

    `launch` returns `None` when nothing is left. `on_end(index, result)` is called for each end, in the order in
    which they happen; when it returns true nothing more is launched and the rest is cancelled, in order. The rest is
    then awaited (`on_end` is called for its results too), or, where `may_leave()` is true, returned while it is still
    ending. A task that raises ends the pool with its error: the rest is cancelled and awaited.
    """
    pool = _Pool(indices, limit, launch, on_end)
    try:
        while True:
            pool.fill()
            if not pool.tasks:
                return []
            if await pool.wait():
                break
        if pool.error is None and may_leave():
            return pool.leave()
    finally:
        if not is_discarded():
            pool.stop()
            await wait_for_ends(list(pool.tasks.values()))
    if pool.error is not None:
        raise pool.error
    return []


async def wait_for_ends(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    """Wait until tasks that were cancelled have ended; a cancellation meanwhile is raised after that."""
    interruption: asyncio.CancelledError | None = None
    while unfinished := [task for task in tasks if not task.done()]:
        try:
            await asyncio.shield(asyncio.gather(*unfinished, return_exceptions=True))
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        raise interruption


def is_cancelled() -> bool:
    """Return whether the current flow was asked to cancel, even if a result that was ready has come first."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_discarded() -> bool:
    """Return, in a `finally`, whether the flow is thrown away as it is.

    A worker that evicts a workflow closes its coroutines: awaiting anything on GeneratorExit is a RuntimeError.
    """
    return isinstance(sys.exception(), GeneratorExit)


class CancelForwarder(asyncio.Future[Any]):
    """What the owner of tasks waits for: its cancellation reaches them at once, as that of `asyncio.gather` does."""

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._on_cancel = on_cancel

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the tasks, too: cancelling the owner cancels this future."""
        self._on_cancel()
        return super().cancel(msg)


class _Pool:
    """Tasks in flight."""

    def __init__(self, indices: Iterable[int], limit: int, launch: Launch, on_end: OnEnd) -> None:
        self.limit = limit
        self.launch = launch
        self.on_end = on_end
        self.queue = iter(indices)
        self.upcoming = next(self.queue, None)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.stopped = False
        """Nothing more is launched, and what is in flight is cancelled."""
        self.left = False
        """What is still in flight is no longer awaited here."""
        self.error: BaseException | None = None
        self._wake: CancelForwarder | None = None

    def fill(self) -> None:
        """Launch up to the limit."""
        while self.upcoming is not None and len(self.tasks) < self.limit:
            coroutine = self.launch(self.upcoming)
            if coroutine is None:
                self.upcoming = None
                break
            self.tasks[self.upcoming] = self._start(self.upcoming, coroutine)
            self.upcoming = next(self.queue, None)

    def _start(self, index: int, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(self._run(index, coroutine))
        # A task that is cancelled before its first turn never awaits the coroutine.
        task.add_done_callback(lambda _: coroutine.close())
        return task

    async def wait(self) -> bool:
        """Wait until a task has ended; return whether the pool has stopped."""
        count = len(self.tasks)
        while not self.stopped and len(self.tasks) == count:
            self._wake = CancelForwarder(self.stop)
            await self._wake
        return self.stopped

    async def _run(self, index: int, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            if self.on_end(index, await coroutine):
                self.stop(but=index)
        # Eviction closes the coroutine: there is no run left to record anything in, and no pool to wake.
        except GeneratorExit:
            raise
        except BaseException as error:
            # `error` is no longer read: raised in the task, it is found by `wait_for_losers`.
            if self.left and not isinstance(error, asyncio.CancelledError):
                raise
            # The end of a task that `stop` has cancelled is expected; any other cancellation ends the pool.
            if not (self.stopped and isinstance(error, asyncio.CancelledError)):
                self.error = self.error or error
                self.stop(but=index)
        self.tasks.pop(index, None)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def stop(self, but: int | None = None) -> None:
        """Cancel what is in flight, in order and once."""
        if self.stopped:
            return
        self.stopped = True
        for index, task in self.tasks.items():
            if index != but:
                task.cancel()

    def leave(self) -> "list[asyncio.Task[None]]":
        """Stop tracking the tasks that are still ending, and return them."""
        self.left = True
        tasks = list(self.tasks.values())
        self.tasks.clear()
        return tasks
