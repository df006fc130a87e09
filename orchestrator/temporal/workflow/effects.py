"""The effects of the interpreter on Temporal: activities, timers, child workflows and waits. Replay-sensitive.

Nothing here waits for the first of several asyncio tasks: their order may differ in a replay (DESIGN, law 2).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import CancelledError, FailureError

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
from orchestrator.interpreter.failures import HistoryFull
from orchestrator.interpreter.inbox import Inbox
from orchestrator.interpreter.lineup import Lineup
from orchestrator.interpreter.pool import is_discarded
from orchestrator.interpreter.repairs import Repairs
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal.activity_inputs import build_activity_input
from orchestrator.temporal.failures import translate_activity_error, unwrap_cause
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payloads import encode_or_fail, keep_inline
from orchestrator.temporal.requests import omit_empty
from orchestrator.temporal.workflow.activities import parse_activity_result, schedule_activity
from orchestrator.temporal.workflow.cancellation import await_operation, count_cancellations
from orchestrator.temporal.workflow.children import Children
from orchestrator.temporal.workflow.segments import Segments
from orchestrator.temporal.workflow.task_budget import YIELD_SECONDS, TaskBudget

NODES_UNTIL_NEXT_TRY = 1_000
"""Nodes until continue-as-new is tried again after the state was too large."""
MAX_EVENTS = 45_000
MAX_HISTORY_BYTES = 45 * 1_048_576
"""Temporal terminates a workflow at 51,200 events or 50 MiB. What is left is for compensations, 6 events each."""
EVENTS_BESIDE_CHILDREN = 40_000
BYTES_BESIDE_CHILDREN = 40 * 1_048_576
"""Where a run waits for its branches and called workflows to end, so that it can continue as new."""
HELD_BESIDE_CHILDREN = (
    "the history of this run is nearly full: its other paths have to wait until the child workflows under way have"
    " ended, and it can continue in a new history"
)
MAX_LOCAL_ACTIONS = 1_000
"""Local actions, or segments, until a run continues as new, which Temporal suggests after 4,096 events. A worker that
reads a run again passes each by itself, in about 1.3 ms for one event: 4,700 took 6 to 11 s. A workflow task that lasts
longer than 10 s is thrown away and begins again, so that such a run would never continue."""
MAX_COST = 150_000_000
"""Work until a run continues as new, for the same reason: reading it again repeats the work of all nodes, 1.5 s of it.
Without actions Temporal suggests it after 800 yields, which is 160 s of work."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A failed step that waits for an operator."""

    node_id: str
    resolution: "asyncio.Future[Resolution]"


class TemporalEffects:
    """Effects for one run, or for one branch of it."""

    def __init__(
        self,
        plan: Plan,
        info: RunInfo,
        inbox: Inbox,
        *,
        paused: bool,
        resumed: bool = False,
    ) -> None:
        self.plan = plan
        self.info = info
        self.inbox = inbox
        self.paused = paused
        self.repairs = Repairs()
        self.lineup = Lineup(is_open=not resumed)
        self._early: list[tuple[str, Any, int | None, str | None, str, str | None]] = []
        """Events that came before the lineup opened."""
        self.held = 0
        """Number of paths held at a node boundary by a pause."""
        self.gathered = 0
        """Number of paths held at a node boundary until the run continues as new."""
        self.gathered_starts = 0
        """Number of paths that are held because their next node runs a child workflow."""
        self.working = 0
        """Number of running actions."""
        self.is_moving = False
        """The run is to continue as new with another version of its definition."""
        self.decisions: dict[str, Decision] = {}
        self.show: Callable[[], None] = lambda: None
        """Update the details in the Temporal UI; called before the flow waits."""
        self.warn: Callable[[str], object] = lambda message: None
        """Add a warning about the run as a whole, once."""
        self._resumed = asyncio.Event()
        self._released = asyncio.Event()
        # Counted and not timed: a replay takes another time for the same nodes (DESIGN, law 3).
        self._spent = 0
        """Cost of the nodes and values since the last yield."""
        self._yielding: asyncio.Event | None = None
        self._next_try_at = 0
        self._nodes_total = 0
        self._local_actions = 0
        self._cost_total = 0
        self.budget = TaskBudget(has_payload_store=info.has_payload_store)
        self.segments = Segments(plan, info, self.budget, self._yield_to_server)
        self.children = Children(plan, info, inbox, self.budget, lambda: self.show())

    def now(self) -> datetime:
        """Return the time of the workflow task, or of the segment whose results are walked through."""
        clock = self.segments.clock
        return workflow.now() if clock is None else clock.now()

    def uuid(self) -> str:
        """Return a UUID that a replay repeats."""
        clock = self.segments.clock
        return str(workflow.uuid4()) if clock is None else clock.uuid()

    async def act(self, request: ActRequest) -> ActionResult:
        """Run the activity that has the action's name, or for a fused action a segment."""
        if request.fused:
            self.working += 1
            try:
                return await self.segments.act(request)
            finally:
                self.working -= 1
        try:
            return await self._act_alone(request)
        finally:
            await self._wait_for_segment()

    async def _act_alone(self, request: ActRequest) -> ActionResult:
        call = build_activity_input(self.info, self.plan.id, request)
        arg = encode_or_fail(call.to_json(), f"the input of action {request.title!r}", self.info.max_payload_bytes)
        if request.local:
            keep_inline(arg)
        await self.budget.take(arg)
        while request.local and self.budget.is_held_by_local_actions():
            await self._yield_to_server()
        if request.local:
            self._local_actions += 1
        before = count_cancellations()
        self.working += 1
        self.show()
        try:
            result = await await_operation(schedule_activity(request, arg))
        except FailureError as error:
            if isinstance(unwrap_cause(error), CancelledError) and count_cancellations() > before:
                raise asyncio.CancelledError from error
            raise translate_activity_error(error, request) from error
        finally:
            self.working -= 1
        return parse_activity_result(result)

    async def _wait_for_segment(self) -> None:
        """Hold a path as long as the copy of it in a segment is held: however its wait ends, also where cancelled."""
        if not is_discarded():
            await self.segments.wait()

    async def pass_lineup(self) -> None:
        """Wait until all paths have taken their places again."""
        await self.lineup.pass_in_turn()
        await self.segments.wait()

    async def sleep(self, seconds: float, title: str) -> None:
        """Start a durable timer."""
        await self.lineup.pass_in_turn()
        self.show()
        try:
            await workflow.sleep(seconds, summary=escape_markdown(title))
        finally:
            await self._wait_for_segment()

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        """Read an event, waiting for it if necessary; `None` after the timeout."""
        resumed = not self.lineup.is_open
        await self.lineup.pass_in_turn(turn)
        before = count_cancellations()
        await self.segments.wait()
        if count_cancellations() > before:
            raise asyncio.CancelledError
        early = self.inbox.take(wanted, branches)
        if early is not None:
            return early.receive()
        if timeout_seconds is not None and timeout_seconds <= 0:
            if not resumed:
                return None
            timeout_seconds = YIELD_SECONDS  # an event of this workflow task is delivered next, and wins
        waiter = self.inbox.open_waiter(wanted, branches)
        cancelled = False
        self.show()
        try:
            if timeout_seconds is None:
                await waiter.future
            else:
                await workflow.wait_condition(
                    waiter.future.done, timeout=timeout_seconds, timeout_summary=escape_markdown(title)
                )
            await self.segments.wait()
        except TimeoutError:
            await self.segments.wait()
            # The event and the timer may come in the same workflow task: the event wins.
            return waiter.get_received()
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self.inbox.close_waiter(waiter, cancelled=cancelled)
            await self._wait_for_segment()
        return waiter.get_received()

    async def deliver(
        self,
        event: str,
        payload: Any,
        number: int | None = None,
        key: str | None = None,
        by: str = "",
        step_id: str | None = None,
    ) -> None:
        """Add an event, and pass it to those who wait for it, in this flow and in children."""
        if not self.lineup.is_open:
            self._early.append((event, payload, number, key, by, step_id))
            return
        added = self.inbox.deliver(event, payload, number, key, by, step_id)
        copy = {"name": event, "payload": payload, "number": added.number}
        await self.children.deliver(event, copy | omit_empty(key=key, by=by, step_id=step_id))

    async def deliver_early(self) -> None:
        """Deliver the events that came before the lineup opened, to all waits that are open again by now."""
        while self._early:
            await self.deliver(*self._early.pop(0))

    async def pause(self, paused: bool, message: Mapping[str, Any]) -> None:
        """Pause before the next node, or resume; branches and called runs as well, which get the same message."""
        if paused == self.paused:
            return
        self.paused = paused
        if not paused:
            self._resumed.set()
            self._resumed = asyncio.Event()
        await self.children.signal_all("pause" if paused else "resume", message)

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Run a branch as a child workflow."""
        try:
            return await self.children.branch(request, paused=self.paused)
        finally:
            await self._wait_for_segment()

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow as a child with its own run id."""
        try:
            return await self.children.call(request)
        finally:
            await self._wait_for_segment()

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Wait for the update `resolve` of this step."""
        decision = self.open_decision(step_id, node_id)
        self.show()
        try:
            await self.lineup.pass_in_turn()  # it may have been resolved already
            return await decision.resolution
        finally:
            await self._wait_for_segment()
            self.decisions.pop(step_id, None)

    def open_decision(self, step_id: str, node_id: str) -> Decision:
        """Return the decision on a step: an update may come before its path has taken its place again."""
        if step_id not in self.decisions:
            self.decisions[step_id] = Decision(node_id, asyncio.get_running_loop().create_future())
        return self.decisions[step_id]

    def boundary_due(self, cost: int) -> bool:
        """Count the node and its cost; return whether `pass_boundary` has something to do."""
        self._spent += cost
        self._nodes_total += 1
        self._cost_total += cost
        return not self.segments.has_more() and (
            self.paused
            or not self.lineup.is_open
            or self._yielding is not None
            or self._spent >= self.plan.yield_cost
            or is_history_full()
            or self._is_long_enough()
        )

    async def pass_boundary(self, *, starts_child: bool) -> None:
        """Yield, wait while paused, and wait for the run to continue as new, each where it is due."""
        await self.lineup.pass_in_turn()
        if self._yielding is not None or self._spent >= self.plan.yield_cost:
            await self._yield_to_server()
        while self.paused or self._has_to_gather(starts_child=starts_child):
            await (self._hold() if self.paused else self._gather(starts_child=starts_child))
        await self.segments.wait()
        if is_history_full():
            info = workflow.info()
            raise HistoryFull(info.get_current_history_length(), info.get_current_history_size())

    def _is_long_enough(self) -> bool:
        """Return whether the run is to continue as new: its history is long enough, or it moves to another version."""
        is_long = (
            self._local_actions + self.segments.count >= MAX_LOCAL_ACTIONS
            or self._cost_total >= MAX_COST
            or workflow.info().is_continue_as_new_suggested()
        )
        return self.is_moving or (is_long and self._nodes_total >= self._next_try_at)

    async def _yield_to_server(self) -> None:
        """End the workflow task with a short timer, shared by all paths of the flow."""
        if self._yielding is not None:
            await self._yielding.wait()
            return
        yielding = self._yielding = asyncio.Event()
        try:
            await workflow.sleep(YIELD_SECONDS)
        finally:
            self._spent = 0
            self._yielding = None
            yielding.set()

    def is_between_tasks(self) -> bool:
        """Return whether paths pause for the server, or until the run continues as new: that is not a wait."""
        return not self.lineup.is_open or self._yielding is not None or self.gathered > 0

    def is_held(self) -> bool:
        """Return whether paths are held at a node boundary, or are about to be."""
        return self.paused or self.held > 0 or self.is_between_tasks()

    async def _hold(self) -> None:
        self.held += 1
        self.show()
        try:
            await self._resumed.wait()
        finally:
            self.held -= 1

    def _has_to_gather(self, *, starts_child: bool) -> bool:
        """Return whether a path has to be held, so that the run can continue as new.

        Children may run for days, so others continue meanwhile, as long as the history has space for them; but none
        is added, or there would never be an end.
        """
        return self._is_long_enough() and (starts_child or not self.children.running or is_nearly_full())

    async def _gather(self, *, starts_child: bool) -> None:
        """Hold a path until the run continues as new, or cannot for now."""
        self.gathered += 1
        self.gathered_starts += starts_child
        if self.children.running and is_nearly_full():
            self.warn(HELD_BESIDE_CHILDREN)
        try:
            await self._released.wait()
        finally:
            self.gathered -= 1
            self.gathered_starts -= starts_child

    def has_to_release(self) -> bool:
        """Return whether paths are held that should continue while a child runs."""
        return bool(self.children.running) and self.gathered > self.gathered_starts and not is_nearly_full()

    def release(self) -> None:
        """Let the paths that are held look again whether they have to be."""
        self._released.set()
        self._released = asyncio.Event()

    def postpone_continuation(self) -> None:
        """Do not try to continue as new for a while: the state is too large, and writing it takes time."""
        self._next_try_at = self._nodes_total + NODES_UNTIL_NEXT_TRY
        self.release()


def is_history_full() -> bool:
    """Return whether only compensations still fit into the history."""
    return _is_history_beyond(MAX_EVENTS, MAX_HISTORY_BYTES)


def is_nearly_full() -> bool:
    """Return whether the history has no space left for paths beside children that last."""
    return _is_history_beyond(EVENTS_BESIDE_CHILDREN, BYTES_BESIDE_CHILDREN)


def _is_history_beyond(events: int, size: int) -> bool:
    info = workflow.info()
    return info.get_current_history_length() >= events or info.get_current_history_size() >= size
