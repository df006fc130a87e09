"""An event loop whose clock jumps to the next timer."""

import asyncio
import selectors
from typing import Any

from orchestrator.errors import OrchestratorError


class SimulationStuck(OrchestratorError):
    """The run waits for something that the simulation was not given."""

    code = "simulation_stuck"


class _VirtualSelector(selectors.SelectSelector):
    """Never waits: moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            ready = super().select(0)
            if not ready:
                raise SimulationStuck
            return ready
        self.elapsed += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only by sleeping."""

    def __init__(self) -> None:
        self.virtual = _VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self.virtual.elapsed


def close_loop(loop: VirtualLoop) -> None:
    """End what still waits, so that nothing is left pending."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
