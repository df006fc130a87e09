"""Say what a rerun would do with the steps of the old run, before it starts. No I/O."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.model.run import Run, StepDocument
from orchestrator.model.run_paths import is_inside
from orchestrator.reruns.records import is_compensation
from orchestrator.reruns.restart import Rerun


@dataclass(slots=True)
class StepCounts:
    """What becomes of the steps of a node, or of an iteration or a branch."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    """By `reused`, `again`, `continued`, `kept_keys` and `undone`."""


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """What a rerun would do with the steps of the old run."""

    rerun: Rerun
    steps: dict[str, list[str]]
    """Step IDs by `reused`, `again`, `continued`, `kept_keys` and `undone`."""
    by_node: list[StepCounts]
    by_path: list[StepCounts]

    @property
    def from_node(self) -> str:
        """The node of the first step that runs."""
        return self.rerun.begins_at[0].rpartition("/")[2].partition("#")[0]


def describe_rerun(old: Run, rerun: Rerun) -> RerunPlan:
    """Return what becomes of each step of the old run, by step, by node, and by iteration and branch."""
    steps: dict[str, list[str]] = {name: [] for name in ("reused", "again", "continued", "kept_keys", "undone")}
    nodes: dict[str, StepCounts] = {}
    paths: dict[str, StepCounts] = {}
    for step in old.steps:
        if is_compensation(step.id, step.node_id):
            continue
        for what in _classify(step, rerun):
            steps[what].append(step.id)
            nodes.setdefault(step.node_id, StepCounts(step.node_id)).counts[what] += 1
            if step.path:
                paths.setdefault(step.path, StepCounts(step.path)).counts[what] += 1
    return RerunPlan(rerun, steps, list(nodes.values()), list(paths.values()))


def _classify(step: StepDocument, rerun: Rerun) -> Iterator[str]:
    """Yield what becomes of a step."""
    if step.id in rerun.reused or any(is_inside(step.path, path) for path in rerun.reused_branches):
        yield "reused"
        return
    if step.id in rerun.continued:
        yield "continued"
        return
    yield "again"
    if step.id in rerun.unknown:
        yield "kept_keys"
    if step.id in rerun.undone:
        yield "undone"
