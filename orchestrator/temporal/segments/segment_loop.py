"""An event loop for a walk, which runs until no task of it can continue by itself. No I/O, no timers.

The tasks of a walk must not get turns between those of the worker: results are given to them one at a time, and
everything that became ready runs before the next, as in a workflow.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class SegmentLoop(asyncio.AbstractEventLoop):
    """Runs in turns on the thread of the loop that is running."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self.error: BaseException | None = None
        """What went wrong in a task that nothing awaits."""

    def run_until_idle(self) -> None:
        """Run what is ready, and what becomes ready by it."""
        outer, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            asyncio.tasks._leave_task(outer, task)
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                self._ready.popleft()._run()
        finally:
            asyncio._set_running_loop(outer)
            if task is not None:
                asyncio.tasks._enter_task(outer, task)

    def discard(self) -> None:
        """Close what has not ended, as a worker that evicts a workflow does: nothing is undone."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # a task left unfinished on purpose
                coroutine: Any = task.get_coro()
                coroutine.close()
        self._tasks.clear()
        self._ready.clear()

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]  # typeshed wants a generic
        """Run a callback in this turn, after those that are ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> "asyncio.Task[Any]":
        """Start a task."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def get_debug(self) -> bool:
        """Return whether tasks are traced."""
        return False

    def is_running(self) -> bool:
        """Return whether the loop takes tasks."""
        return True

    def is_closed(self) -> bool:
        """Return whether the loop takes no more tasks."""
        return False

    def time(self) -> float:
        """Return the time of timers, of which a walk has none."""
        return 0.0

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember an error of a callback."""
        self.error = self.error or context.get("exception")
