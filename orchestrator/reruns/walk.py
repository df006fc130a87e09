"""Walk through a run again, on what it was answered, up to the steps where a rerun begins. No I/O.

The interpreter runs from the state with which an execution began. Each path goes as far as its answers go, or to the
step that it is to stop before; a path that had been cancelled because another one failed stops before the step that it
was at. When no path can continue, the state is that of a run between nodes, and what was done stays done.

Example: a map of three items, of which item 1 failed at `send`, when item 0 had ended and item 2 was at `check`. The
walk stops before `each[1]/send`. Item 1 does not fail then, so nothing cancels item 2, which stops before
`each[2]/check`.
"""

import asyncio
import contextlib
import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.base import ScopeRun, make_step_id
from orchestrator.interpreter.effects import BranchRequest, BranchResult
from orchestrator.interpreter.execute import run_branch, run_whole_scope
from orchestrator.interpreter.frames import Frame, LoopFrame, ParallelFrame
from orchestrator.interpreter.leaf_frames import AgainIteration
from orchestrator.interpreter.passes import iterate_passes
from orchestrator.interpreter.scopes import ScopeInterpreter
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Action, AnyNode, Call, Loop, Plan
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import RunInfo, find_owner
from orchestrator.reruns.records import Record, RecordedRepair
from orchestrator.reruns.walk_effects import Clock, HistoryNeeded, Stops, WalkEffects, hang
from orchestrator.timing.virtual_loop import Stuck, VirtualLoop

FindRecord = Callable[[str], Record | None]
"""Finds the record of a branch by its path."""


class WalkedFlow(ScopeInterpreter):
    """One flow that is walked: the run, or a branch in a child workflow."""

    effects: WalkEffects

    def __init__(self, plan: Plan, info: RunInfo, state: RunState, effects: WalkEffects) -> None:
        super().__init__(plan, info, state, effects)
        self.record = effects.record
        self.reached: list[str] = []
        """Steps before which a path has stopped."""
        self.done_branches: list[dict[str, Any]] = []
        """Branches in child workflows that stay done."""
        self.walked: dict[str, WalkedFlow] = {}
        """Branches in child workflows that continue, by path."""
        self._again: dict[str, list[AgainIteration]] = {}

    async def pass_boundary_before(self, run: ScopeRun, node: AnyNode) -> None:
        """Stop before a step that is to run again, or that has not run."""
        step_id = make_step_id(run.path, node.id, run.frame.visits.get(node.id, 0) + 1)
        known = self.record.steps.get(step_id)
        if step_id in self.effects.stops.again:
            self._keep_iteration(step_id)
        elif step_id in self.effects.stops.at or known is None or not self._has_outcome(node, step_id):
            self.reached.append(step_id)
            await hang()
        if known is not None:
            self.effects.clock.now = max(self.effects.clock.now, known.started_at)

    def _has_outcome(self, node: AnyNode, step_id: str) -> bool:
        kind = "act" if isinstance(node, Action) else "call" if isinstance(node, Call) else None
        ended = self.record.steps[step_id].status in ("completed", "skipped", "failed")
        return kind is None or ended or self.effects.has_answer(kind, step_id)

    async def pass_boundary(self, *, starts_child: bool = False) -> None:
        """Do nothing: paths stop before steps only."""

    def limit_in_flight(self, limit: int, path: str) -> int:
        """Return a limit at which paths that have stopped do not keep those from going on that have begun."""
        batches = len(self.record.list_batches(path))
        return max(limit, batches, 1 + max(self.record.find_passes(path), default=0))

    def repair(self, repair: RecordedRepair) -> bool:
        """Do what an operator had done, where it still concerns anything."""
        if repair.override is not None:
            self.state.overrides.append(repair.override)
        elif repair.ended is not None and repair.ended[0] in self.state.open:
            self.effects.repairs.request(*repair.ended)
        elif repair.variables is not None:
            path, values = repair.variables
            for each in iterate_passes(self.plan, self.state):
                if each.path == path:
                    for name, value in values.items():
                        each.data.set(name, value)
        return True

    def _keep_iteration(self, step_id: str) -> None:
        """Keep the state of a failed iteration of a sequential loop, which runs again behind the others."""
        loop_id, index = self.effects.stops.again[step_id]
        for node in self.state.frame.iterate_open_nodes():
            if isinstance(node, LoopFrame) and node.step.id == loop_id and node.frame is not None:
                data = self._find_data(node)
                owned = self._list_body(node)
                steps = {name: data.context["steps"][name] for name in owned if name in data.context["steps"]}
                frame = copy.deepcopy(node.frame.to_json(data)) if node.frame.is_at_rest() else None
                kept = AgainIteration(index, frame, steps if frame is not None else {})
                self._again.setdefault(loop_id, []).append(kept)

    def _find_data(self, loop: LoopFrame) -> Any:
        """Return the data of the flow of control that a loop is in."""
        found = self.state.data
        frames: list[tuple[Frame, Any]] = [(self.state.frame, self.state.data)]
        while frames:
            frame, data = frames.pop()
            if frame.open is loop:
                found = data
            match frame.open:
                case LoopFrame() as outer:
                    frames += [(outer.frame, data)] if outer.frame is not None else []
                    frames += [(fork.frame, fork.data) for fork in outer.forks.values()]
                case ParallelFrame() as parallel:
                    frames += [(fork.frame, fork.data) for fork in parallel.forks.values()]
        return found

    def _list_body(self, loop: LoopFrame) -> list[str]:
        node = find_node(self.plan, loop.step.node_id)
        return self.list_owned(node.body) if isinstance(node, Loop) else []

    async def leave_loop(self, progress: LoopFrame) -> None:
        """Stop at the end of a loop that has iterations to run again."""
        if again := self._again.get(progress.step.id):
            progress.again = sorted(again, key=lambda each: each.index)
            node = find_node(self.plan, progress.step.node_id)
            progress.count = progress.index * ((isinstance(node, Loop) and node.batch_size) or 1)
            self.reached += [
                step_id for step_id, (loop, _) in self.effects.stops.again.items() if loop == progress.step.id
            ]
            await hang()


def find_node(plan: Plan, node_id: str) -> AnyNode | None:
    """Return a node of a plan, however deep it is."""
    return next((node for node in iterate_nodes(plan.scope) if node.id == node_id), None)


class Walk:
    """A walk through a run."""

    def __init__(self, record: Record, stops: Stops, find_record: FindRecord) -> None:
        self.stops = stops
        self.find_record = find_record
        self.clock = Clock(_find_start(record))
        self.root = self._open(record, record.plan, record.info, 0)
        self.has_ended = False
        """The walk has come to the end of the run: nothing has stopped it."""
        self._needed: HistoryNeeded | None = None
        self._loop = VirtualLoop(self.clock.give_next)
        self._task: asyncio.Task[None] | None = None
        """All others hang on it: without a reference, tasks that wait for ever are garbage, and are closed."""

    def run(self) -> None:
        """Walk until no path can continue; raises HistoryNeeded."""
        with contextlib.suppress(Stuck):
            self._task = self._loop.create_task(self._run_root())
            self._loop.run_until_complete(self._task)
        if self._needed is not None:
            raise self._needed

    def close(self) -> None:
        """Discard the flows."""
        self._loop.discard()

    async def _run_root(self) -> None:
        with contextlib.suppress(StepFailed):
            await run_whole_scope(self.root)
        self.has_ended = True

    def _open(self, record: Record, plan: Plan, info: RunInfo, depth: int) -> WalkedFlow:
        effects = WalkEffects(record, self.clock, self.stops, depth, self._walk_branch)
        flow = WalkedFlow(plan, info, RunState.from_json(plan, record.state), effects)
        for repair in record.repairs:
            self.clock.schedule(repair.moment, depth, repair.order, partial(flow.repair, repair))
        return flow

    async def _walk_branch(self, effects: WalkEffects, request: BranchRequest) -> BranchResult | None:
        """Walk a branch that ran as a child workflow; return `None` where its recorded result is used."""
        parent = self._find_flow(effects)
        entry = effects.record.branches.get(request.path)
        step = effects.record.steps.get(find_owner(request.path))
        ended = entry is not None and effects.has_answer("branch", request.path)
        is_lost = entry is not None and entry["status"] == "cancelled" and not (step is not None and step.is_done)
        if ended and not is_lost and not self.stops.has_any_in(request.path):
            if entry is not None and entry["status"] == "completed":
                parent.done_branches.append({**entry, "reused": True})
            return None
        record = None if entry is None else self._find_branch(request.path)
        if record is None:  # it has not begun
            await hang()
            return None
        flow = self._open(record, request.plan, parent.info, effects.depth + 1)
        parent.walked[request.path] = flow
        result = await run_branch(flow, request.exports)
        del parent.walked[request.path]
        effects.inbox.mark_read(flow.effects.inbox.read, request.path.rpartition("[")[0])
        return result

    def _find_branch(self, path: str) -> Record | None:
        try:
            return self.find_record(path)
        except HistoryNeeded as needed:
            self._needed = needed
            return None

    def _find_flow(self, effects: WalkEffects) -> WalkedFlow:
        flows = [self.root]
        while flows:
            flow = flows.pop()
            if flow.effects is effects:
                return flow
            flows.extend(flow.walked.values())
        raise AssertionError("an effect of an unknown flow")

    def list_flows(self) -> Mapping[str, WalkedFlow]:
        """Return the flows that continue, by path; that of the run is empty."""
        found: dict[str, WalkedFlow] = {}
        flows = {"": self.root}
        while flows:
            path, flow = flows.popitem()
            found[path] = flow
            flows |= flow.walked
        return found


def _find_start(record: Record) -> datetime:
    moments = [answer.moment for answers in record.answers.values() for answer in answers]
    moments += [step.started_at for step_id, step in record.steps.items() if step_id in record.begun]
    return min(moments, default=datetime.fromisoformat(record.state["started_at"]))
