"""An event loop whose clock jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from orchestrator.errors import OrchestratorError


class SimulationStuck(OrchestratorError):
    """The run waits for an event or a resolution that the simulation does not have."""

    code = "simulation_stuck"


class _VirtualSelector(selectors.SelectSelector):
    """Selector that advances the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.on_idle: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout != 0 and self.on_idle():
            return super().select(0)
        if timeout is None:
            ready = super().select(0)
            if not ready:
                raise SimulationStuck
            return ready
        self.elapsed += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop whose clock advances only when every task sleeps."""

    def __init__(self) -> None:
        self.virtual = _VirtualSelector()
        super().__init__(self.virtual)

    def call_when_idle(self, callback: Callable[[], bool]) -> None:
        """Call this whenever no task can go on by itself; it returns whether it has woken one."""
        self.virtual.on_idle = callback

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self.virtual.elapsed


def close_loop(loop: VirtualLoop) -> None:
    """Cancel all pending tasks and close the loop."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
