"""The effects of a walk through fused actions: what is not one of them holds its path until the walk is discarded.

A path may be held here where the workflow would continue, never the other way round: results would be given to a
workflow that has not come to them. So what holds a path does so even if it is cancelled.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from orchestrator.interpreter.effects import (
    ActionResult,
    ActRequest,
    BranchRequest,
    BranchResult,
    CallRequest,
    EventFilter,
    ReceivedEvent,
    Resolution,
)
from orchestrator.interpreter.repairs import Repairs
from orchestrator.interpreter.segments import PendingResult, SegmentClock
from orchestrator.temporal.payloads import require_small


class SegmentEffects:
    """Effects of the walk of one segment."""

    def __init__(
        self,
        clock: SegmentClock,
        max_cost: int,
        max_payload_bytes: int,
        request: Callable[[ActRequest], PendingResult | None],
    ) -> None:
        """`request` asks for an action; it returns `None` for one that does not run in this segment."""
        self.repairs = Repairs()  # none come while a segment runs
        self.is_moving = False
        self.clock = clock
        self.max_cost = max_cost
        self.max_payload_bytes = max_payload_bytes
        self.spent = 0
        """Cost of nodes and values since the walk began."""
        self._request = request

    def now(self) -> datetime:
        """Return the time of the walk."""
        return self.clock.now()

    def uuid(self) -> str:
        """Return the next UUID of the walk."""
        return self.clock.uuid()

    async def act(self, request: ActRequest) -> ActionResult:
        """Call a fused action."""
        if request.fused:
            require_small(request.parameters, f"the input of action {request.title!r}", self.max_payload_bytes)
        pending = self._request(request) if request.fused else None
        if pending is None:
            await hold()
        step = await pending.wait()
        if step.retry_seconds is not None:
            await hold()
        return step.to_result()

    async def pass_lineup(self) -> NoReturn:
        """Hold the path: it has a timer in the workflow."""
        await hold()

    async def sleep(self, seconds: float, title: str) -> NoReturn:
        """Hold the path."""
        await hold()

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        """Hold the path."""
        await hold()

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Hold the path."""
        await hold()

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Hold the path."""
        await hold()

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Hold the path."""
        await hold()

    def boundary_due(self, cost: int) -> bool:
        """Return whether the walk has cost as much as a workflow task may."""
        self.spent += cost
        return self.spent >= self.max_cost

    async def pass_boundary(self, *, starts_child: bool) -> NoReturn:
        """Hold the path."""
        await hold()


async def hold() -> NoReturn:
    """Wait until the walk is discarded."""
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    while True:
        try:
            await asyncio.shield(held)
        except asyncio.CancelledError:
            continue
