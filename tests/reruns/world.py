"""Run plans on the simulator with a record of what they were answered, and rerun them from their records."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from orchestrator.errors import StepFailed
from orchestrator.interpreter.effects import ActionResult, ActRequest, BranchRequest, BranchResult
from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.planner.planner import check
from orchestrator.reruns.records import Record, record_flow
from orchestrator.reruns.restart import Changes, Rerun, plan_rerun
from orchestrator.reruns.targets import Target
from orchestrator.reruns.walk_effects import HistoryNeeded
from orchestrator.simulator.effects import SimulatedEffects, Simulation
from orchestrator.simulator.simulate import EPOCH, deliver_later, repair_later
from orchestrator.timing.virtual_loop import Stuck, VirtualLoop
from tests.golden import read_definition

LATER = timedelta(days=1)
"""Between a run and its rerun."""


def make_plan(nodes: Mapping[str, Any], *edges: str, **more: Any) -> Plan:
    """Return the plan of a definition."""
    return check(read_definition({"nodes": nodes, "edges": edges, **more}, "short", "short")).require()


@dataclass(slots=True)
class World(Simulation):
    """What actions do: each returns its parameters, unless its step is down or hangs."""

    down: set[str] = field(default_factory=set)
    """Steps whose action fails."""
    stuck: set[str] = field(default_factory=set)
    """Steps whose action never ends."""
    calls: list[ActRequest] = field(default_factory=list)
    seconds: Callable[[str], float] = lambda step_id: crc32(step_id.encode()) % 7
    answer: Callable[[str], dict[str, Any]] = lambda step_id: {}
    """What the action of a step answers beside its parameters."""
    cancel_at: float | None = None
    finishers: dict[str, tuple[Any, RunState, "RecordedEffects"]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    """Of branches in child workflows, by path."""

    @property
    def called(self) -> list[str]:
        """The ids of the steps whose actions were called."""
        return [request.step_id for request in self.calls]

    def get_key(self, step_id: str) -> str:
        """Return the idempotency key of the last call of a step."""
        return next(call.idempotency_key for call in reversed(self.calls) if call.step_id == step_id)


class RecordedEffects(SimulatedEffects):
    """Effects that are recorded."""

    simulation: World

    async def act(self, request: ActRequest) -> ActionResult:
        """Return the parameters of an action."""
        world = self.simulation
        world.calls.append(request)
        await asyncio.sleep(world.seconds(request.step_id))
        if request.step_id in world.stuck:
            await asyncio.Event().wait()
        if request.step_id in world.down:
            raise StepFailed(f"{request.step_id} is down", error_type="action_error", recoverable=False)
        return ActionResult({"did": request.parameters, **world.answer(request.step_id)})

    def open_branch(self, request: BranchRequest, parallel: str) -> tuple[RunState, SimulatedEffects]:
        """Record the branch, too."""
        state, effects = super().open_branch(request, parallel)
        assert isinstance(effects, RecordedEffects)
        finish = record_flow(request.path, request.plan, self.info, state, effects)
        self.simulation.finishers[request.path] = (finish, state, effects)
        return state, effects

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Note how the branch ends."""
        self.simulation.statuses[request.path] = "running"
        result = await super().run_branch(request)
        self.simulation.statuses[request.path] = result.status
        return result


@dataclass
class Ended:
    """A run on the simulator that has ended, or cannot go on."""

    plan: Plan
    state: RunState
    world: World
    records: dict[str, Record]
    """By the path of the branch; that of the run is empty."""

    @property
    def done_branches(self) -> list[str]:
        """The paths of the branches in child workflows that the run has not begun itself."""
        return [path for path in self.records[""].branches if path not in self.world.statuses]

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the run."""
        own = ("steps", "run", "workflow", "trigger", "input")
        return {name: value for name, value in self.state.data.context.items() if name not in own}

    @property
    def steps(self) -> list[Step]:
        """All steps, those of branches included, but no compensations."""
        states = [self.state, *(state for _, state, _ in self.world.finishers.values())]
        return [step for state in states for step in state.log]

    @property
    def reused(self) -> list[str]:
        """The ids of the steps that were not done again."""
        return sorted(step.id for step in self.steps if step.reused)

    def plan_rerun(
        self, from_node: str | None = None, path: str | None = None, *, failed_items: bool = False,
        plan: Plan | None = None, **changes: Any,
    ) -> Rerun:  # fmt: skip
        """Plan a rerun of the run."""
        target = Target(from_node, path, failed_items)

        def find_branch(wanted: str) -> Record | None:
            return self.records.get(wanted)

        now = self.world.start + LATER
        return plan_rerun(self.records[""], find_branch, plan or self.plan, Changes(target, **changes), "again", now)


def run(
    plan: Plan,
    world: World | None = None,
    *,
    run_input: Any = None,
    events: Sequence[Mapping[str, Any]] = (),
    rerun: Rerun | None = None,
) -> Ended:
    """Run a plan, or what a rerun has planned, to its end or as far as it goes."""
    start = EPOCH if rerun is None else EPOCH + LATER
    world = world or World(start, {}, [])
    info = RunInfo(id="first") if rerun is None else rerun.info
    request: Mapping[str, Any] = {} if rerun is None else rerun.request
    if rerun is None:
        state = RunState.new(plan, info, run_input=run_input, trigger=None, now=start)
    else:
        plan = rerun.plan
        state = RunState.from_json(plan, request["state"])
    effects = RecordedEffects(world, plan, info, state, early=request.get("inbox", ()))
    effects.inbox.received = request.get("received", 0)
    world.received = max(world.received, effects.inbox.received)
    finish = record_flow("", plan, info, state, effects)
    _run_in_virtual_time(plan, info, state, effects, world, events)
    branches = [*request.get("branches", ())]
    branches += [{"workflow_id": path, "path": path, "status": status} for path, status in world.statuses.items()]
    records = {"": finish(branches)}
    for path, (finish_branch, branch_state, _) in world.finishers.items():
        del branch_state
        records[path] = finish_branch([entry for entry in branches if entry["path"].startswith(f"{path}/")])
    return Ended(plan, state, world, records)


def _run_in_virtual_time(
    plan: Plan, info: RunInfo, state: RunState, effects: RecordedEffects, world: World, events: Sequence[Any]
) -> None:
    loop = VirtualLoop()

    async def work() -> None:
        main = asyncio.current_task()
        assert main is not None
        if world.cancel_at is not None:
            loop.call_later(world.cancel_at, main.cancel)
        deliveries = [asyncio.ensure_future(deliver_later(world, event)) for event in events]
        deliveries += [asyncio.ensure_future(repair_later(world, info, request)) for request in world.repairs]
        try:
            await execute(plan, info, state, effects)
        finally:
            for delivery in deliveries:
                delivery.cancel()

    try:
        with contextlib.suppress(Stuck, asyncio.CancelledError):
            loop.run_until_complete(work())
    finally:
        loop.discard()


def make_world(*down: str, stuck: Sequence[str] = (), cancel_at: float | None = None, again: bool = False) -> World:
    """Return a world in which these steps are down."""
    start: datetime = EPOCH + LATER if again else EPOCH
    return World(start, {}, [], down=set(down), stuck=set(stuck), cancel_at=cancel_at)


def rerun(ended: Ended, from_node: str | None = None, path: str | None = None, **changes: Any) -> Ended:
    """Rerun a run in a world where nothing is down."""
    planned = ended.plan_rerun(from_node, path, **changes)
    return run(planned.plan, make_world(again=True), rerun=planned)


__all__ = ["HistoryNeeded", "make_plan", "make_world", "rerun", "run"]
