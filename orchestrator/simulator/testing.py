"""Simulate runs that are interrupted: the seam for tests of state that survives continue-as-new."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestrator.interpreter.effects import (
    ActionResult,
    ActRequest,
    BranchRequest,
    BranchResult,
    CallRequest,
    EventFilter,
    ReceivedEvent,
)
from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.frames import LoopFrame, ParallelFrame
from orchestrator.interpreter.inbox import Event
from orchestrator.interpreter.joined_steps import JoinedSteps
from orchestrator.interpreter.lineup import Lineup
from orchestrator.interpreter.migration import MigrationRequest, move_early_events, plan_migration
from orchestrator.interpreter.repair_requests import record_intervention
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.value_table import ValueTable, load_lines
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.simulator.effects import Answer, SimulatedEffects, Simulation
from orchestrator.simulator.simulate import EPOCH, build_document, deliver_later, repair_later
from orchestrator.timing.virtual_loop import Stuck, VirtualLoop

MOMENT = 0.001
"""Seconds for which a wait whose time is over when it is resumed is open, so that an event of that moment wins."""


@dataclass(slots=True)
class Interruptions:
    """How often a run was interrupted."""

    count: int = 0
    in_forks: int = 0
    """Those with a concurrent iteration or an inline branch in progress."""


class _Interrupted(BaseException):
    """The flow came to rest. Temporal's continue-as-new is not an Exception either."""

    def __init__(self, state_json: str, plan: Plan) -> None:
        self.state_json = state_json
        self.plan = plan
        """That of another version where the run moves."""


class _InterruptingEffects(SimulatedEffects):
    """Effects that stop the flow after `every` boundaries, once all paths are at rest."""

    def __init__(
        self,
        simulation: Simulation,
        plan: Plan,
        info: RunInfo,
        state: RunState,
        every: int,
        early: Sequence[Any] | None,
    ) -> None:
        super().__init__(simulation, plan, info, state, early=early or ())
        self.boundaries_left = every
        self.lineup = Lineup(is_open=early is None)
        self.undelivered: list[tuple[str, Any, int, str | None, str, str | None]] = []
        """Events that have come before all paths have taken their places."""
        self.is_over = False
        """The state has been written: what is left of this flow does nothing more, as on Temporal."""
        self.children = 0
        self.working = 0
        self.move: MigrationRequest | None = None
        self.gathered: list[tuple[bool, asyncio.Future[None]]] = []
        """Paths that are held, and whether their next node runs a child."""

    def make_branch_effects(
        self, request: BranchRequest, state: RunState, early: Sequence[Sequence[Any]]
    ) -> SimulatedEffects:
        """Return effects that do not interrupt: a branch in a child workflow continues as new by itself."""
        return SimulatedEffects(self.simulation, request.plan, self.info, state, waits=request.waits, early=early)

    def boundary_due(self, cost: int) -> bool:
        return True

    async def pass_boundary(self, *, starts_child: bool) -> None:
        await self.lineup.pass_in_turn()
        if self.boundaries_left > 0 and not self.is_moving:
            self.boundaries_left -= 1
            return
        while (self.is_moving or self.boundaries_left == 0) and (starts_child or not self.children):
            entry = (starts_child, asyncio.get_running_loop().create_future())
            self.gathered.append(entry)
            try:
                await entry[1]
            finally:
                self.gathered.remove(entry)

    async def act(self, request: ActRequest) -> ActionResult:
        if self.is_over:
            raise asyncio.CancelledError
        self.working += 1
        try:
            return await super().act(request)
        finally:
            self.working -= 1

    async def pass_lineup(self) -> None:
        await self.lineup.pass_in_turn()

    async def sleep(self, seconds: float, title: str) -> None:
        await self.lineup.pass_in_turn()
        await super().sleep(seconds, title)

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        resumed = not self.lineup.is_open
        await self.lineup.pass_in_turn(turn)
        if resumed and timeout_seconds is not None:
            timeout_seconds = max(timeout_seconds, MOMENT)
        return await super().receive(wanted, timeout_seconds, title, branches, turn)

    def deliver(
        self, event: str, payload: Any, number: int, key: str | None = None, by: str = "", step_id: str | None = None
    ) -> None:
        if self.lineup.is_open:
            super().deliver(event, payload, number, key, by, step_id)
        else:
            self.undelivered.append((event, payload, number, key, by, step_id))

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        self.children += 1
        try:
            return await super().run_branch(request)
        finally:
            self.children -= 1

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        self.children += request.wait
        try:
            return await super().call_workflow(request)
        finally:
            self.children -= request.wait

    def come_to_rest(self) -> bool:
        """Wake paths that are held, or raise _Interrupted where the state can be written down."""
        if not self.lineup.is_open:
            self.lineup.open()
            return True
        if self.undelivered:
            for event in self.undelivered:
                super().deliver(*event)
            self.undelivered.clear()
            return True
        if self.children:
            plain = [place for starts_child, place in self.gathered if not starts_child and not place.done()]
            for place in plain:
                place.set_result(None)
            return bool(plain)
        is_ending = self.state.ending or self.state.failure is not None
        if is_ending or self.working or not self.state.frame.is_at_rest():
            return False
        if self.move is not None:
            return self._move(self.move)
        if self.gathered:
            events = [event.to_json() for event in self._list_readable()]
            raise _Interrupted(ValueTable().dump([self.state.to_json(), events]), self.plan)
        return False

    def begin_move(self, request: MigrationRequest) -> None:
        """Move to another version as soon as all paths are at rest, unless the run does not fit it now."""
        if not plan_migration(self.plan, self.state, request, self.now()).problems:
            self.move, self.is_moving = request, True
            more = {"version": request.plan.version, "map": dict(request.renamed)}
            record_intervention(self.state, "migrate", self.now(), by="", reason="", **more)

    def _move(self, request: MigrationRequest) -> bool:
        moved = plan_migration(self.plan, self.state, request, self.now())
        if not moved.problems:
            events = move_early_events(self.plan, self.state, request, self._list_readable())
            raise _Interrupted(ValueTable().dump([moved.state, [each.to_json() for each in events]]), request.plan)
        self.move, self.is_moving = None, False
        for _, place in self.gathered:
            place.set_result(None)
        return bool(self.gathered)

    def _list_readable(self) -> list[Event]:
        return self.inbox.list_readable(self.state.frame.list_waiting_branches())


def simulate_interrupted(
    plan: Plan,
    *,
    input: Any = None,  # noqa: A002 - the name that `simulate` has
    actions: Mapping[str, Answer] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    resolutions: Sequence[Mapping[str, Any]] = (),
    repairs: Sequence[Mapping[str, Any]] = (),
    start: datetime = EPOCH,
    every: int = 1,
    gap_seconds: float = 0.0,
    move: tuple[float, MigrationRequest] | None = None,
) -> tuple[Run, Interruptions]:
    """Run a plan, writing its state to JSON and reading it back after `every` boundaries, `gap_seconds` later.

    With `move`, it moves to another version at that time, in seconds, if it fits; the run document tells.
    Raises Stuck where the run waits for what does not come.
    """
    info = RunInfo(id="simulated", customer_id=plan.customer_id)
    simulation = Simulation(start, actions or {}, list(resolutions))
    state = RunState.new(plan, info, run_input=input, trigger=None, now=start)
    early: list[Any] | None = None
    interruptions = Interruptions()
    loop = VirtualLoop()
    try:
        deliveries = [deliver_later(simulation, event) for event in events]
        for each in [*deliveries, *(repair_later(simulation, info, request) for request in repairs)]:
            loop.create_task(each)
        earlier: list[RunState] = []
        while True:
            effects = _InterruptingEffects(simulation, plan, info, state, every, early)
            if interruptions.count:
                loop.call_when_idle(lambda: False)
                loop.run_until_complete(asyncio.sleep(gap_seconds))
            try:
                _execute_part(loop, effects, move)
            except _Interrupted as interrupted:
                earlier.append(replace(state, log=deque(map(copy, state.log)), drops=list(state.drops)))
                move = move if interrupted.plan is plan else None
                plan = interrupted.plan
                state_json, early = load_lines(interrupted.state_json)
                state = RunState.from_json(plan, state_json)
                interruptions.count += 1
                interruptions.in_forks += _has_forks(state)
            else:
                _join_steps(state, earlier)
                return build_document(plan, info, state, simulation), interruptions
    finally:
        loop.discard()


def _execute_part(
    loop: VirtualLoop, effects: _InterruptingEffects, move: tuple[float, MigrationRequest] | None
) -> None:
    """Run a flow to its end; raises _Interrupted where its state was written before."""
    loop.call_when_idle(effects.come_to_rest)
    main = loop.create_task(execute(effects.plan, effects.info, effects.state, effects))
    mover = None if move is None else loop.create_task(_move_later(effects, *move))
    try:
        loop.run_until_complete(main)
    except _Interrupted:
        effects.simulation.flows.remove(effects)
        effects.is_over = True
        for task in (main, mover):
            if task is not None:
                task.cancel()
        raise


def _join_steps(state: RunState, earlier: Sequence[RunState]) -> None:
    """Add to the log of a state the steps of the states that it has continued."""
    joined = JoinedSteps[Step](state.log.maxlen or 1)
    for each in [state, *reversed(earlier)]:
        joined.add_earlier(((step.number, step) for step in each.log), each.drops)
    state.log.clear()
    state.log.extend(step for _, step in joined.list_newest())


async def _move_later(effects: _InterruptingEffects, at: float, request: MigrationRequest) -> None:
    await asyncio.sleep(at - asyncio.get_running_loop().time())
    effects.begin_move(request)


def _has_forks(state: RunState) -> bool:
    nodes = state.frame.iterate_open_nodes()
    return any(isinstance(node, LoopFrame | ParallelFrame) and node.forks for node in nodes)


__all__ = ["Interruptions", "Stuck", "simulate_interrupted"]
