"""Answer the interpreter's effects from a record, in the order in which the answers had come. No I/O."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, NoReturn
from uuid import UUID

from orchestrator.errors import StepFailed
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
from orchestrator.interpreter.inbox import Inbox
from orchestrator.interpreter.repairs import Repairs
from orchestrator.interpreter.step_record import current_step
from orchestrator.model.run_paths import is_inside
from orchestrator.reruns.records import Answer, Arrival, Record


class HistoryNeeded(Exception):
    """The walk needs the history of a branch, or of the execution before those that it has."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(workflow_id)
        self.workflow_id = workflow_id


@dataclass(frozen=True, slots=True)
class Stops:
    """Where a walk ends."""

    at: frozenset[str]
    """Ids of the steps before which their paths stop."""
    again: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """The first step that runs again in a failed iteration of a sequential loop: the loop's step, and the index."""

    def has_any_in(self, path: str) -> bool:
        """Return whether a path stops in a branch or an iteration."""
        return any(is_inside(step_id.rpartition("/")[0], path) for step_id in (*self.at, *self.again))


class Clock:
    """Gives answers when no path can continue by itself, the earliest first; time is that of the last one."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._pending: list[tuple[datetime, int, int, int, Callable[[], bool]]] = []
        self._numbers = count()

    def schedule(self, moment: datetime, depth: int, order: int, give: Callable[[], bool]) -> None:
        """Give an answer in its turn; at the same moment, flows inside others come first."""
        heapq.heappush(self._pending, (moment, -depth, order, next(self._numbers), give))

    def give_next(self) -> bool:
        """Give the next answer; return whether there was one."""
        while self._pending:
            moment, *_, give = heapq.heappop(self._pending)
            self.now = moment
            if give():
                return True
        return False


class WalkEffects:
    """Effects of one flow that is walked."""

    def __init__(self, record: Record, clock: Clock, stops: Stops, depth: int, walk_branch: Any) -> None:
        self.record = record
        self.clock = clock
        self.stops = stops
        self.depth = depth
        self.inbox = Inbox(record.inbox, record.received)
        self.inbox.read.extend(record.read)
        self._answers = {key: deque(answers) for key, answers in record.answers.items()}
        self._uuids = {step_id: deque(uuids) for step_id, uuids in record.uuids.items()}
        self._drawn = count(1)
        self._walk_branch = walk_branch
        self.repairs = Repairs()
        self.is_moving = False
        for arrival in record.arrivals:
            clock.schedule(arrival.moment, depth, arrival.order, partial(self._deliver, arrival))

    def _deliver(self, arrival: Arrival) -> bool:
        event = arrival.event
        if arrival.read_by is None:
            self.inbox.deliver(event.name, event.payload, event.number, event.key, event.by, event.step_id)
        elif not any(step_id.startswith(f"{arrival.read_by}[") for step_id in self.stops.at):
            self.inbox.mark_read([event.number], arrival.read_by)
        return True

    def has_answer(self, *key: str) -> bool:
        """Return whether there is an answer that was not given yet."""
        return bool(self._answers.get(key))

    def now(self) -> datetime:
        """Return the time at which the last answer had come."""
        return self.clock.now

    def uuid(self) -> str:
        """Return the UUID that the step had drawn."""
        known = self._uuids.get(current_step.get())
        return known.popleft() if known else str(UUID(int=next(self._drawn), version=4))

    async def _take(self, *key: str) -> Any:
        """Wait for the turn of the next answer to this, for ever where there is none; return or raise it."""
        answers = self._answers.get(key)
        if not answers:
            await hang()
        answer: Answer = answers.popleft()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def give() -> bool:
            if turn.done():
                return False
            turn.set_result(None)
            return True

        self.clock.schedule(answer.moment, self.depth, answer.order, give)
        try:
            await turn
        except asyncio.CancelledError:
            # An action or a branch that was cancelled is awaited, and what it has done counts.
            if key[0] not in ("act", "branch", "call"):
                raise
        if answer.failure is not None:
            raise answer.failure
        return answer.value

    async def act(self, request: ActRequest) -> ActionResult:
        """Return the recorded result of an action.

        What is called beside the steps and has no outcome, such as a notification, is not called again.
        """
        if request.step_id not in self.record.steps and not self.has_answer("act", request.step_id):
            raise StepFailed("its outcome is not known")
        result: ActionResult = await self._take("act", request.step_id)
        return result

    async def pass_lineup(self) -> None:
        """Do nothing: a walk does not continue as new."""

    async def sleep(self, seconds: float, title: str) -> None:
        """Sleep until the recorded end; what is about to stop inside a step has not exceeded its time limit."""
        step_id = current_step.get()
        inside = f"{step_id}[", f"{step_id}~"
        if any(stop.startswith(inside) for stop in (*self.stops.at, *self.stops.again)) and title.startswith("timeout"):
            await hang()
        await self._take("sleep", step_id, title)

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        """Read an event that had come, or wait for it to come in its turn."""
        early = self.inbox.take(wanted, branches)
        if early is not None:
            return early.receive()
        waiter = self.inbox.open_waiter(wanted, branches)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def stop_waiting(*_: Any) -> bool:
            if end.done():
                return False
            end.set_result(None)
            return True

        waiter.future.add_done_callback(stop_waiting)
        timeouts = self._answers.get(("timeout", current_step.get()))
        if timeouts:
            self.clock.schedule(timeouts[0].moment, self.depth, timeouts[0].order, stop_waiting)
        cancelled = True
        try:
            await end
            cancelled = False
        finally:
            self.inbox.close_waiter(waiter, cancelled=cancelled)
        received = waiter.get_received()
        if received is None and timeouts:
            timeouts.popleft()
        return received

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Return the recorded result of a branch, or walk it where it continues."""
        result: BranchResult | None = await self._walk_branch(self, request)
        return result if result is not None else await self._take("branch", request.path)

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Return the recorded result of a called workflow."""
        result: dict[str, Any] = await self._take("call", request.step_id)
        return result

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Return what the operator had decided."""
        resolution: Resolution = await self._take("decide", step_id)
        return resolution

    def boundary_due(self, cost: int) -> bool:
        """Return that every boundary is to be passed: paths may stop there."""
        return True

    async def pass_boundary(self, *, starts_child: bool) -> None:
        """Do nothing: the run is not paused."""


async def hang() -> NoReturn:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")
