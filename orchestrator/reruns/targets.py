"""Find the steps at which a rerun begins: those that a person names, or those at which the run has stopped. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.errors import OperationRefused
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.plan import AnyNode, Delay, End, Loop, Parallel, Wait
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import find_owner
from orchestrator.model.run_paths import is_inside
from orchestrator.reruns.records import Record, RecordedStep
from orchestrator.reruns.walk import FindRecord
from orchestrator.reruns.walk_effects import HistoryNeeded, Stops

MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rerun is to begin."""

    from_node: str | None = None
    """The node to begin at; by default where the run has stopped."""
    path: str | None = None
    """The iteration or branch that it is in, such as `each[7]`."""
    failed_items: bool = False
    """Run the failed items of loops again that have continued past them."""


class TargetFinder:
    """Finds steps in the records of a run and its branches."""

    def __init__(self, record: Record, find_branch: FindRecord) -> None:
        self.record = record
        self._find_branch = find_branch
        self._nodes = {node.id: node for node in iterate_nodes(record.plan.scope)}

    def find_stops(self, target: Target, attempt: int) -> Stops:
        """Return where a walk to the target is to end; raises OperationRefused and HistoryNeeded.

        Each further attempt stops earlier: a failure that no step has had is met again at the same place.
        """
        if target.failed_items:
            return self._find_failed_items(target)
        own = self._widen(self._list_run_stops(attempt), attempt)
        if target.from_node is None and target.path is None:
            if self.record.status == "completed":
                raise OperationRefused("no node of this run has failed", hint="name the node to begin at as from_node")
            return self._make_stops(own, whole_run=True)
        chosen = self._find_named(target, own)
        beside = [stop for step in self._list_owners(chosen.path) for stop in self._list_stops_at(step, attempt)]
        return self._make_stops({chosen.id, *own, *beside}, self._list_undone_before(chosen), whole_run=True)

    def find_record(self, path: str) -> Record | None:
        """Return the record of the flow that runs a path: the run's own, or that of the innermost child workflow."""
        record, known = self.record, ""
        while True:
            inner = [branch for branch in record.branches if is_inside(path, branch) and len(branch) > len(known)]
            if not inner:
                return record
            known = min(inner, key=len)
            found = self._find_branch(known)
            if found is None:
                return None
            record = found

    def _make_stops(self, at: set[str], undone: set[str] | None = None, *, whole_run: bool) -> Stops:
        every = set(at) | (undone or set())
        if whole_run:
            every |= {step_id for step_id, whole in self.record.undone.items() if whole}
        self._require_begun(every)
        return Stops(frozenset(every))

    def _require_begun(self, step_ids: set[str]) -> None:
        """Raise HistoryNeeded where a step has begun before the executions that were read."""
        for step_id in step_ids:
            record = self.find_record(step_id.rpartition("/")[0])
            if record is not None and step_id not in record.begun:
                raise HistoryNeeded(record.workflow_id)

    def _list_owners(self, path: str) -> Iterator[RecordedStep]:
        """Yield the loops and parallels around a path, from the inside out."""
        while path:
            owner = find_owner(path)
            path = owner.rpartition("/")[0]
            record = self.find_record(path)
            if record is not None and owner in record.steps:
                yield record.steps[owner]

    def _list_undone_before(self, chosen: RecordedStep) -> set[str]:
        """Return the compensated steps of the passes that a step is in: they count as not done."""
        paths = {chosen.path, *(owner.path for owner in self._list_owners(chosen.path))} - {""}
        return {step_id for step_id in self.record.undone if step_id.rpartition("/")[0] in paths}

    def _list_run_stops(self, attempt: int) -> set[str]:
        return set() if self.record.status == "completed" else set(self._list_stops(self.record, "", attempt))

    def _list_stops(self, record: Record, path: str, attempt: int) -> Iterator[str]:
        """Yield where the paths of a pass through a scope have stopped that did not end well."""
        steps = record.list_steps(path)
        if steps:
            yield from self._list_stops_at(steps[-1], attempt)

    def _list_stops_at(self, step: RecordedStep, attempt: int) -> Iterator[str]:
        node = self._nodes.get(step.node_id)
        inner = list(self._list_inner_stops(step, node, attempt))
        if inner or isinstance(node, Loop | Parallel):
            yield from inner or ([step.id] if attempt else [])
        elif attempt or (not step.is_done and not isinstance(node, Delay | Wait)) or step.status == "failed":
            yield step.id

    def _list_inner_stops(self, step: RecordedStep, node: AnyNode | None, attempt: int) -> Iterator[str]:
        if not isinstance(node, Loop | Parallel) or (step.is_done and not attempt):
            return
        continues = node.continue_on_error if isinstance(node, Loop) else node.on_branch_error == "ignore"
        record = self.find_record(step.path)
        indices = [] if record is None else self._find_passes(record, step)
        if record is not None and isinstance(node, Parallel):
            known = [index for index in range(len(node.branches)) if f"{step.inner_path}[{index}]" in record.branches]
            indices = sorted({*indices, *known})
        if isinstance(node, Loop) and node.max_concurrency == 1:
            indices = indices[-1:]
        for index in indices:
            path = f"{step.inner_path}[{index}]"
            entry = record.branches.get(path) if record is not None else None
            if entry is not None and entry["status"] == "completed":
                continue
            inside = self.find_record(path)
            if inside is None or (continues and not attempt and self._has_failed(inside, path)):
                continue
            if self._has_ended_well(inside, path):
                continue
            yield from self._list_stops(inside, path, attempt)

    def _find_passes(self, record: Record, step: RecordedStep) -> list[int]:
        """Return the iterations or branches of a step that have begun; not those of batches that have completed."""
        passes = record.find_passes(step.inner_path)
        for entry in record.list_batches(step.inner_path):
            if entry["status"] != "completed":
                inside = self._find_branch(entry["path"])
                passes += [] if inside is None else inside.find_passes(step.inner_path)
        return sorted(passes)

    def _has_ended_well(self, record: Record, path: str) -> bool:
        steps = record.list_steps(path)
        return bool(steps) and steps[-1].is_done and not self._has_failed(record, path)

    def _has_failed(self, record: Record, path: str) -> bool:
        """Return whether an iteration or a branch has failed by itself, and was not cancelled."""
        steps = record.list_steps(path)
        if not steps:
            return False
        node = self._nodes.get(steps[-1].node_id)
        return steps[-1].status == "failed" or (isinstance(node, End) and node.outcome == "failed")

    def _widen(self, stops: set[str], attempt: int) -> set[str]:
        """Return the steps around the stops: the first attempt that is widened has their own steps."""
        for _ in range(max(attempt - 1, 0)):
            stops = {find_owner(path) if (path := step_id.rpartition("/")[0]) else step_id for step_id in stops}
        return stops

    def _find_named(self, target: Target, own: set[str]) -> RecordedStep:
        path = self._find_path(target, own)
        record = self.find_record(path)
        steps = [] if record is None else record.list_steps(path)
        if not steps:
            raise OperationRefused(f"this run has no iteration or branch {path!r}", hint=self._list_passes(path))
        if target.from_node is not None:
            steps = [step for step in steps if step.node_id == target.from_node]
        if not steps and record is not None and target.from_node in record.state["context"]["steps"]:
            raise HistoryNeeded(record.workflow_id)  # it ran before the executions that were read
        if not steps:
            names = list(dict.fromkeys(step.node_id for step in self.record.list_steps(path)))
            raise OperationRefused(
                f"a run cannot begin at {target.from_node!r}: it did not run" + (f" in {path!r}" if path else ""),
                hint=did_you_mean(str(target.from_node), names) or f"one of {', '.join(names[:MAX_LISTED])}",
            )
        inside = own if record is None or not path else {*own, *self._list_stops(record, path, 0)}
        stopped = [step for step in steps if step.id in inside]
        if not stopped and steps[0].id.rpartition("#")[2].isdigit() and "#" in steps[0].id and record is not None:
            raise HistoryNeeded(record.workflow_id)  # its first start is no longer in the record of steps
        return (stopped or steps)[0]

    def _find_path(self, target: Target, own: set[str]) -> str:
        if target.path is not None:
            return target.path.strip("/")
        stopped = {step_id.rpartition("/")[0] for step_id in own if self._get_node_id(step_id) == target.from_node}
        if len(stopped) == 1:
            return stopped.pop()
        paths = {step.path for step in self.record.steps.values() if step.node_id == target.from_node}
        if "" in paths or not paths:
            return ""
        if len(paths) == 1:
            return paths.pop()
        raise OperationRefused(
            f"{target.from_node!r} ran in {len(paths)} iterations or branches", hint=f"name one as path: {_list(paths)}"
        )

    def _get_node_id(self, step_id: str) -> str:
        return step_id.rpartition("/")[2].partition("#")[0]

    def _list_passes(self, path: str) -> str:
        paths = {step.path for step in self.record.steps.values()} | set(self.record.branches)
        known = paths - {""}
        return did_you_mean(path, known) or (f"one of {_list(known)}" if known else "it has none: leave out path")

    def _find_failed_items(self, target: Target) -> Stops:
        at: set[str] = set()
        again: dict[str, tuple[str, int]] = {}
        for loop, path, index, record in self._iterate_failed_items(target):
            every = (*self.record.undone, *record.undone)
            undone = {each for each in every if is_inside(each.rpartition("/")[0], path)}
            first = min(
                (step for step in record.steps.values() if step.id in {*undone, *self._list_stops(record, path, 0)}),
                key=lambda step: step.number,
                default=None,
            )
            if first is None:
                continue
            node = self._nodes[loop.node_id]
            if isinstance(node, Loop) and node.max_concurrency == 1:
                again[first.id] = (loop.id, index)
            else:
                at |= {first.id, *self._list_stops(record, path, 0)}
        if not at and not again:
            raise OperationRefused("no loop of this run has continued past a failed item", hint="rerun from a node")
        at |= self._list_run_stops(0)
        self._require_begun({*at, *again})
        return Stops(frozenset(at), again)

    def _iterate_failed_items(self, target: Target) -> Iterator[tuple[RecordedStep, str, int, Record]]:
        record = self.find_record(target.path or "") or self.record
        for step in list(record.steps.values()):
            node = self._nodes.get(step.node_id)
            is_wanted = target.from_node in (None, step.node_id) and target.path in (None, step.path)
            if not isinstance(node, Loop) or not node.continue_on_error or not is_wanted:
                continue
            failed = list(self._list_failed_passes(record, step))
            if step.id not in record.begun and (failed or step.failed_items):
                raise HistoryNeeded(record.workflow_id)
            yield from failed

    def _list_failed_passes(
        self, record: Record, step: RecordedStep
    ) -> Iterator[tuple[RecordedStep, str, int, Record]]:
        """Yield the failed iterations of a loop, each with its path and the record of its flow."""
        inside = [record]
        for entry in record.list_batches(step.inner_path):
            found = self._find_branch(entry["path"]) if entry.get("failed", 1) else None
            inside += [] if found is None else [found]
        for each in inside:
            for index in each.find_passes(step.inner_path):
                path = f"{step.inner_path}[{index}]"
                if self._has_failed(each, path):
                    yield step, path, index, each


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)[:MAX_LISTED])
