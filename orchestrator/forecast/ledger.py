"""Add up what operations cost, by flow and node."""

from collections import defaultdict
from dataclasses import dataclass, field

from orchestrator.forecast.costs import TASK_BYTES, TASK_EVENTS, Cost

Key = tuple[str, str]
"""Path of a flow and id of a node; an empty id for what belongs to no node."""


@dataclass(slots=True)
class Tally:
    """A sum of costs."""

    operations: float = 0.0
    """Events without those of workflow tasks."""
    payloads: float = 0.0
    """Bytes without those of workflow tasks."""
    tasks: float = 0.0
    """Workflow tasks, as far as they do not fall together."""
    markers: float = 0.0
    """Local activities and segments."""
    steps: float = 0.0
    fused: float = 0.0
    """Steps that are in segments."""

    @property
    def events(self) -> float:
        """Events, workflow tasks included."""
        return self.operations + TASK_EVENTS * self.tasks

    @property
    def bytes(self) -> float:
        """Bytes of history, workflow tasks included."""
        return self.payloads + TASK_BYTES * self.tasks

    def add(self, other: "Tally", factor: float = 1.0) -> None:
        """Add another sum, several times."""
        self.operations += other.operations * factor
        self.payloads += other.payloads * factor
        self.tasks += other.tasks * factor
        self.markers += other.markers * factor
        self.steps += other.steps * factor
        self.fused += other.fused * factor


@dataclass(slots=True)
class Part:
    """What a part of a flow costs: an iteration, a branch, the whole."""

    by_key: dict[Key, Tally] = field(default_factory=lambda: defaultdict(Tally))
    own: Tally = field(default_factory=Tally)
    """Of the flow itself, without its children."""
    fewest_tasks: float = 0.0
    """Workflow tasks of the flow itself where as much as possible falls together."""
    most_tasks: float = 0.0
    continued: float = 0.0
    """How many times the flow continues as new."""
    flows: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Of child workflows by path: how many, the fewest and most workflow tasks of all of them, and how many times they
    continue as new."""

    def charge(self, key: Key, cost: Cost, carried: float = 0.0, *, markers: int = 0) -> None:
        """Add one operation, with the bytes that its events carry."""
        tally = Tally(cost.events, cost.bytes + carried, cost.tasks, markers)
        self.by_key[key].add(tally)
        self.own.add(tally)
        self.fewest_tasks += cost.tasks
        self.most_tasks += cost.tasks

    def merge(self, other: "Part", factor: float = 1.0) -> None:
        """Add a part that comes after this one, several times."""
        for key, tally in other.by_key.items():
            self.by_key[key].add(tally, factor)
        self.own.add(other.own, factor)
        self.fewest_tasks += other.fewest_tasks * factor
        self.most_tasks += other.most_tasks * factor
        for path, counts in other.flows.items():
            self.record_flows(path, *(count * factor for count in counts))

    def record_flows(self, path: str, *counts: float) -> None:
        """Add child workflows: see `flows`."""
        known = self.flows.get(path, (0.0,) * len(counts))
        self.flows[path] = tuple(map(sum, zip(known, counts, strict=True)))

    def flatten(self, path: str) -> "Part":
        """Return the same cost as that of one flow, without its nodes and its child workflows."""
        whole = Part(fewest_tasks=self.fewest_tasks, most_tasks=self.most_tasks, continued=self.continued)
        for tally in self.by_key.values():
            whole.by_key[path, ""].add(tally)
        for _, fewest, most, _ in self.flows.values():
            whole.fewest_tasks += fewest
            whole.most_tasks += most
        return whole

    def combine_tasks(self, flow: str, fewest: float, expected: float) -> None:
        """Let workflow tasks of the flow fall together: it has as many as expected, and at least the fewest."""
        if not self.own.tasks:
            return
        scale = expected / self.own.tasks
        for key, tally in self.by_key.items():
            if key[0] == flow:
                tally.tasks *= scale
        self.own.tasks = expected
        self.fewest_tasks = fewest
