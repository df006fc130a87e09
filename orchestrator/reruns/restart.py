"""Make the state that a rerun begins with from a walk through the run that has ended. No I/O."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.child_results import Batches
from orchestrator.interpreter.frames import Frame, LoopFrame, OpenNode, ParallelFrame
from orchestrator.interpreter.leaf_frames import BusyNode, DelayFrame, WaitFrame
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Delay, Loop, Parallel, Plan, Scope, Wait
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import RESERVED, RunInfo, find_owner, format_timestamp
from orchestrator.model.run_paths import read_batch_path
from orchestrator.reruns.records import Record
from orchestrator.reruns.targets import Target, TargetFinder
from orchestrator.reruns.walk import FindRecord, Walk, WalkedFlow

MAX_ATTEMPTS = 6
"""Walks until the run begins at the outermost step: failures that no step has had are met again."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How the new run differs from the old one."""

    target: Target = field(default_factory=Target)
    run_input: tuple[Any] | None = None
    """The run's input where it is replaced; it may be null."""
    variables: Mapping[str, Any] | None = None
    """Variables to set before the run begins."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A new run, ready to be started."""

    plan: Plan
    info: RunInfo
    request: dict[str, Any]
    """`{state, inbox, received, branches}`, beside plan and info."""
    begins_at: list[str]
    """Ids of the steps that begin first; of a wait or a delay that continues where there is none."""
    reused: set[str]
    """Ids of the steps that the new run keeps, as far as its record goes."""
    reused_branches: set[str]
    """Paths of the branches in child workflows that stay done."""
    continued: set[str]
    """Ids of steps in progress: loops, parallels, waits and delays that continue."""
    unknown: set[str]
    """Ids of steps that keep their idempotency key: their outcome is not known."""
    undone: set[str]
    """Ids of the steps that were compensated: they count as not done."""


def plan_rerun(
    record: Record, find_branch: FindRecord, plan: Plan, changes: Changes, run_id: str, now: datetime
) -> Rerun:
    """Return a new run of a plan, which may be of another version; raises OperationRefused and HistoryNeeded."""
    _require_variables(changes.variables or {})
    finder = TargetFinder(record, find_branch)
    for attempt in range(MAX_ATTEMPTS):
        stops = finder.find_stops(changes.target, attempt)
        walk = Walk(record, stops, finder.find_record)
        try:
            walk.run()
            if walk.has_ended:
                continue
            _require_reached(walk, stops.at, changes.target)
            return _Restart(walk, record, plan, changes, run_id, now).build(finder)
        finally:
            walk.close()
    raise OperationRefused(
        "the run cannot begin there: it had gone on without that step, or has nothing left to do",
        hint="begin at the loop or the parallel around it, or start a new run of the workflow",
    )


def _require_variables(variables: Mapping[str, Any]) -> None:
    reserved = [name for name in variables if name in (*RESERVED, "secrets")]
    if reserved:
        raise OperationRefused(
            f"{', '.join(reserved)}: reserved names cannot be set as variables",
            hint="the run's input is replaced by `input`",
        )
    if "" in variables:
        raise OperationRefused("empty text is not the name of a variable")


def _require_reached(walk: Walk, at: frozenset[str], target: Target) -> None:
    """Raise OperationRefused where no path has stopped at a step that was named."""
    reached = {step_id for flow in walk.list_flows().values() for step_id in flow.reached}
    if (target.from_node or target.path or target.failed_items) and not reached & (at | set(walk.stops.again)):
        raise OperationRefused(
            "the run cannot begin there: it had gone on without that iteration or branch",
            hint="begin at the loop or the parallel around it",
        )


class _Restart:
    """Turns the flows of a walk into the request of a new run."""

    def __init__(self, walk: Walk, record: Record, plan: Plan, changes: Changes, run_id: str, now: datetime) -> None:
        self.walk = walk
        self.record = record
        self.plan = plan
        self.changes = changes
        self.now = now
        self.gap = max(now - (record.ended_at or now), timedelta())
        """Between the end of the old run and now: what was left of delays and time limits then is left now."""
        self.info = record.info.model_copy(
            update={
                "id": run_id, "attempt": record.info.attempt + 1, "rerun_of": record.info.id, "parent_run_id": None,
            }
        )  # fmt: skip

    def build(self, finder: TargetFinder) -> Rerun:
        """Return the new run."""
        flows = self.walk.list_flows()
        request = self._describe_flow(self.walk.root, self.record.plan.scope, self.plan.scope)
        reused = {step.id for flow in flows.values() for step in flow.state.log if step.reused}
        continued = {step_id for flow in flows.values() for step_id in flow.state.open}
        reached = [step_id for flow in flows.values() for step_id in flow.reached]
        known = {step_id for flow in flows.values() for step_id in flow.record.steps}
        begins_at = (
            [step_id for step_id in reached if step_id in known]
            or reached
            or sorted(step.step.id for flow in flows.values() for step in flow.state.frame.iterate_open_nodes())
        )
        unknown = {step_id for flow in flows.values() for step_id in flow.record.unknown}
        branches = {entry["path"] for flow in flows.values() for entry in self._list_branches(flow)}
        return Rerun(
            self.plan, self.info, request, begins_at, reused, branches, continued, unknown, set(self.record.undone)
        )

    def _describe_flow(self, flow: WalkedFlow, before: Scope, after: Scope) -> dict[str, Any]:
        """Return what a flow begins with: `{state, inbox, received, read, branches}`."""
        state = flow.state
        self._reset(flow)
        self._move_frame(flow, state.frame, before, after)
        fields = copy.deepcopy(state.to_json(with_log=True))
        self._change_context(fields["context"], is_whole=not state.path)
        if not state.path:
            fields["started_at"] = format_timestamp(self.now)
        inbox = flow.effects.inbox
        readable = inbox.list_readable(state.frame.list_waiting_branches())
        decisions = self._find_decisions(flow.record) if readable else {}
        unread = [event for event in readable if event.number not in decisions]
        unread = [event for event in unread if event.step_id is None or not self._was_done(event.step_id)]
        entries = {
            "state": fields,
            "inbox": [event.to_json() for event in unread],
            "received": inbox.received,
            "read": list(inbox.read) if state.path else [],
            "branches": self._list_branches(flow),
        }
        return {name: value for name, value in entries.items() if value}

    def _find_decisions(self, record: Record) -> dict[int, str]:
        """Return the events by which approvals were decided, by number: what runs again asks people again.

        An event of one that stays done has been read in the walk.
        """
        approvals = {
            node.id for node in iterate_nodes(record.plan.scope) if isinstance(node, Wait) and node.approval is not None
        }
        if not approvals:
            return {}
        kept = {entry["path"] for flow in self.walk.list_flows().values() for entry in flow.done_branches}
        records, found = [record], {}
        while records:
            each = records.pop()
            for step_id, number in each.received_by.items():
                step = each.steps.get(step_id)
                if step is not None and step.is_done and step.node_id in approvals:
                    found[number] = step_id
            inner = [self.walk.find_record(path) for path in each.branches if path not in kept]
            records += [branch for branch in inner if branch is not None]
        return found

    def _was_done(self, step_id: str) -> bool:
        """Return whether a step had ended well: what was answered to its approval by link holds for that one alone."""
        record = self.walk.find_record(step_id.rpartition("/")[0])
        return record is not None and step_id in record.steps and record.steps[step_id].is_done

    def _reset(self, flow: WalkedFlow) -> None:
        state = flow.state
        state.rewinds, state.warnings = {}, []
        state.overrides.clear()
        state.interventions.clear()
        state.keys = dict(flow.record.unknown)
        for step in state.log:
            if step.id not in state.open and step.completed_at is not None:
                step.reused = True
        for step in state.open.values():
            step.retried_at = self.now

    def _list_branches(self, flow: WalkedFlow) -> list[dict[str, Any]]:
        """Return the branches in child workflows whose steps stay in the record."""
        begun = flow.record.begun
        earlier = [entry for path, entry in flow.record.branches.items() if find_owner(path) not in begun]
        return [{**entry, "reused": True} for entry in earlier] + flow.done_branches

    def _change_context(self, context: dict[str, Any], *, is_whole: bool) -> None:
        """Set what the new run knows of itself, its input and the variables that are replaced."""
        plan, info = self.plan, self.info
        if is_whole:
            for name, value in plan.variables.items():
                context.setdefault(name, value)
        for name, value in (self.changes.variables or {}).items():
            if is_whole or name in context:
                context[name] = value
        context["workflow"] = {"id": plan.id, "name": plan.name, "version": plan.version}
        context["run"] = {"id": info.id, "started_at": format_timestamp(self.now), "attempt": info.attempt}
        if self.changes.run_input is not None and (is_whole or "input" in context):
            (context["input"],) = self.changes.run_input

    def _move_frame(self, flow: WalkedFlow, frame: Frame, before: Scope, after: Scope) -> None:
        """Rewrite ranks, which are positions in the old plan, to those of the same nodes in the new one."""
        if isinstance(frame.open, BusyNode):
            _take_back(flow.state, frame, before)
        ranks = {node.id: rank for rank, node in enumerate(after.nodes)}
        names = [before.nodes[rank].id for rank in frame.active]
        opened = [frame.open.step.node_id] if frame.open is not None else []
        missing = [name for name in [*names, *opened] if name not in ranks]
        if missing:
            raise OperationRefused(
                f"version {self.plan.version} has no node {', '.join(missing)}, which this run has yet to run",
                hint="rerun on the version of the old run",
            )
        frame.active = sorted(ranks[name] for name in names)
        if self.plan is not self.record.plan:
            frame.changes, frame.departure = {}, None
            for data in flow.state.iterate_data():
                data.undo_log, data.marked = [] if self.plan.rewinds else None, set()
        if frame.open is not None:
            old = next(node for node in before.nodes if node.id == frame.open.step.node_id)
            self._move_open(flow, frame.open, old, after.nodes[ranks[old.id]])

    def _move_open(self, flow: WalkedFlow, progress: OpenNode, old: Any, new: Any) -> None:
        is_spread = isinstance(progress, LoopFrame) and progress.batches is not None
        same_branches = not isinstance(old, Parallel) or (
            isinstance(new, Parallel) and (len(old.branches), old.inline) == (len(new.branches), new.inline)
        )
        if old.kind != new.kind or not same_branches or (is_spread and not _have_same_batches(old, new)):
            raise OperationRefused(
                f"version {self.plan.version} has another kind of node {old.id!r}, which this run is in",
                hint="rerun on the version of the old run, or begin at that node",
            )
        match progress:
            case LoopFrame():
                self._move_loop(flow, progress, old, new)
            case ParallelFrame():
                for index, fork in progress.forks.items():
                    self._move_frame(flow, fork.frame, old.branches[index].scope, new.branches[index].scope)
                for path, child in flow.walked.items():
                    index = _get_index(path)
                    if find_owner(path) == progress.step.id:
                        scopes = old.branches[index].scope, new.branches[index].scope
                        progress.children[index] = self._describe_flow(child, *scopes)
                progress.is_busy = False
            case DelayFrame() if not isinstance(new, Delay) or (new.until is None and new.cron is None):
                progress.until += self.gap
                _show_until(progress)
            case WaitFrame():
                progress.until = progress.until and progress.until + self.gap
                progress.remind_at = progress.remind_at and progress.remind_at + self.gap
                _show_until(progress)

    def _move_loop(self, flow: WalkedFlow, progress: LoopFrame, old: Loop, new: Loop) -> None:
        begun = flow.record.find_passes(progress.step.inner_path)
        if progress.batches is not None:
            self._move_batches(flow, progress, progress.batches, old, new)
        for index in sorted(progress.forks, reverse=True):
            if index in begun:
                break
            del progress.forks[index]  # the walk has more in progress than the run may have
        if progress.frame is not None:
            self._move_frame(flow, progress.frame, old.body, new.body)
        for fork in progress.forks.values():
            self._move_frame(flow, fork.frame, old.body, new.body)
        if self.plan is not self.record.plan:
            # Their frames were written with the ranks of the old plan.
            progress.again = [type(each)(each.index) for each in progress.again]
        if progress.until is not None:
            progress.until += self.gap

    def _move_batches(self, flow: WalkedFlow, progress: LoopFrame, batches: Batches, old: Loop, new: Loop) -> None:
        """Describe the batches that continue, each of which is the loop alone in a scope of its own."""
        batches.running = 0
        for path, child in flow.walked.items():
            batch = read_batch_path(path)
            if batch is not None and batch[0] == progress.step.inner_path and old.spread is not None:
                scopes = Scope(nodes=(old,)), Scope(nodes=(new,))
                batches.children[batch[1] // old.spread.size] = self._describe_flow(child, *scopes)


def _have_same_batches(old: Any, new: Any) -> bool:
    """Return whether a loop of two versions is divided in the same way."""
    if not isinstance(old, Loop) or not isinstance(new, Loop) or old.spread is None or new.spread is None:
        return False
    return (old.spread.size, old.batch_size) == (new.spread.size, new.batch_size)


def _take_back(state: RunState, frame: Frame, scope: Scope) -> None:
    """Take back the start of a step that has no outcome, and whose path did not stop before it."""
    if frame.open is None:
        return
    step, frame.open = frame.open.step, None
    frame.visits[step.node_id] -= 1
    frame.activate(next(rank for rank, node in enumerate(scope.nodes) if node.id == step.node_id))
    state.log = type(state.log)((each for each in state.log if each is not step), state.log.maxlen)
    state.open.pop(step.id, None)
    state.started -= 1


def _show_until(progress: DelayFrame | WaitFrame) -> None:
    if progress.step.waiting_for is not None:
        until = progress.until and format_timestamp(progress.until)
        progress.step.waiting_for = {**progress.step.waiting_for, "until": until}


def _get_index(path: str) -> int:
    return int(path.rpartition("[")[2].removesuffix("]"))
