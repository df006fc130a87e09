"""An event loop in memory: when no task can continue, it asks for the next answer, or jumps to the next timer. No I/O.

A simulation waits for timers, a walk through a record for the answers in it; neither takes time.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from orchestrator.errors import OrchestratorError

OnIdle = Callable[[], bool]
"""Called when no task can continue by itself; returns whether it has woken one."""


class Stuck(OrchestratorError):
    """No task can continue: the run waits for an event, a resolution or an answer that does not come."""

    code = "simulation_stuck"


class _VirtualSelector(selectors.SelectSelector):
    """Selector that advances the clock instead of waiting."""

    def __init__(self, on_idle: OnIdle) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.on_idle = on_idle

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout != 0 and not self.on_idle():
            if timeout is None:
                ready = super().select(0)
                if not ready:
                    raise Stuck
                return ready
            self.elapsed += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock advances only when every task sleeps."""

    def __init__(self, on_idle: OnIdle = lambda: False) -> None:
        self.virtual = _VirtualSelector(on_idle)
        super().__init__(self.virtual)

    def call_when_idle(self, callback: OnIdle) -> None:
        """Call this whenever no task can continue by itself."""
        self.virtual.on_idle = callback

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self.virtual.elapsed

    def discard(self) -> None:
        """Cancel all tasks and close the loop."""
        self.call_when_idle(lambda: False)
        while tasks := asyncio.all_tasks(self):  # some begin another one at their end
            for task in tasks:
                task.cancel()
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()
