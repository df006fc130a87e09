"""Sum up the steps of a run: by node, by iteration, and the newest ones. No I/O.

What is returned grows with the graph, not with the number of steps.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, Field

from orchestrator.jsontools.text import shorten
from orchestrator.model.run import OPERATOR_RETRY, Run, Status, StepDocument, StepSummary
from orchestrator.service.step_ports import find_port

URGENT: tuple[Status, ...] = ("failed", "retrying", "waiting", "pending", "running")
"""What a person wants to see first, in this order."""
RANKS: Mapping[Status, int] = dict.fromkeys(get_args(Status), len(URGENT)) | {
    status: rank for rank, status in enumerate(URGENT)
}
MAX_MESSAGE = 300
MAX_ITERATIONS = 100
ITEM_COUNTS = ("count", "succeeded", "failed")


class StepLine(StepSummary):
    """A step without its data."""

    error_type: str | None = Field(None, description="Type of its error.")
    error: str | None = Field(None, description="The first 300 characters of the message of its error.")
    items: dict[str, int] | None = Field(None, description="Of a loop: `{count, succeeded, failed}`.")


class NodeSummary(BaseModel):
    """The steps of one node."""

    node_id: str = Field(description="Node ID.")
    statuses: dict[Status, int] = Field(description="Number of its steps by status.")
    ports: dict[str, int] = Field(description="Number of its steps by the port that they left by.")
    first: StepLine = Field(
        description="The step to look at first: the newest of those that failed, else that are open, else of all."
    )
    result: str = Field(
        description="A digest of the result of that step: two steps with the same result have the same."
    )


class IterationSummary(BaseModel):
    """An iteration or branch."""

    index: int = Field(description="Its number, from 0.")
    status: Status = Field(description="`completed` unless a step in it has failed or is open.")


class PassSummary(BaseModel):
    """The iterations of a loop, or the branches of a parallel."""

    node_id: str = Field(description="ID of the loop or parallel.")
    statuses: dict[Status, int] = Field(description="Number of iterations or branches by status.")
    listed: list[IterationSummary] = Field(
        description="At most 100 of them, in their order: those that failed or are open, then the last ones."
    )


@dataclass(frozen=True, slots=True)
class Overview:
    """The steps of a run, summed up."""

    newest: list[StepLine]
    """In the order in which they started."""
    last: int | None
    """Number of the oldest of them, where there are older ones."""
    nodes: list[NodeSummary]
    passes: list[PassSummary]


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps: all fields that are given apply."""

    step_id: str | None = None
    node_id: str | None = None
    statuses: frozenset[str] = frozenset()
    iterations: Mapping[str, int] = field(default_factory=dict)
    """Number of an iteration by the ID of its loop; what is outside the loop matches, too."""

    def matches(self, step: StepDocument) -> bool:
        """Return whether a step is wanted."""
        return (
            self.step_id in (None, step.id)
            and self.node_id in (None, step.node_id)
            and (not self.statuses or step.status in self.statuses)
            and (not self.iterations or self._is_in_iterations(step.path))
        )

    def _is_in_iterations(self, path: str) -> bool:
        return all(self.iterations.get(owner, index) == index for owner, index in _split_path(path))


def select_steps(
    run: Run, wanted: StepFilter, order: str, after: int | None, limit: int
) -> tuple[list[StepDocument], int | None]:
    """Return a page of the steps of a run, and the number of its last one where there are more.

    A step has the same number for as long as the document has it, however many are added and dropped.
    """
    dropped = max(run.steps_total - len(run.steps), 0)
    numbered = list(enumerate(run.steps, dropped))
    if order == "newest":
        numbered.reverse()
    sign = -1 if order == "newest" else 1
    rest = (
        (number, step)
        for number, step in numbered
        if (after is None or sign * number > sign * after) and wanted.matches(step)
    )
    page = list(islice(rest, limit))
    more = next(rest, None)
    return [step for _, step in page], page[-1][0] if page and more is not None else None


@lru_cache(maxsize=10_000)
def _split_path(path: str) -> tuple[tuple[str, int], ...]:
    """Return the loops and parallels that a path goes through: `each[2]/fan~1[0]` is `(each, 2), (fan, 0)`."""
    parts = (part.removesuffix("]").rpartition("[") for part in path.split("/"))
    # The path of a batch, `each[500..999]`, is in no iteration.
    return tuple((OPERATOR_RETRY.sub("", owner), int(index)) for owner, _, index in parts if index.isdecimal())


def summarize_run_steps(run: Run, iterations: Mapping[str, int], newest: int) -> Overview:
    """Return the steps of the chosen iterations summed up, and the newest of those."""
    wanted = StepFilter(iterations=iterations)
    page, last = select_steps(run, wanted, "newest", None, newest)
    return Overview(
        newest=[_make_line(step) for step in reversed(page)],
        last=last,
        nodes=_summarize_nodes([step for step in run.steps if wanted.matches(step)]),
        passes=list(_summarize_passes(run.steps, iterations)),
    )


def _make_line(step: StepDocument) -> StepLine:
    shared = {name: getattr(step, name) for name in StepSummary.model_fields}
    error = step.error or {}
    return StepLine.model_construct(
        **shared
        | {
            "error": shorten(str(error["message"]), MAX_MESSAGE) if error.get("message") else None,
            "error_type": error.get("error_type"),
            "items": _count_items(step.output_data) if step.completed_at else step.progress,
        }
    )


def _count_items(output: Any) -> dict[str, int] | None:
    """Return the counts in the output of a loop; `None` for any other output."""
    if not isinstance(output, Mapping):
        return None
    counts = {name: output.get(name) for name in ITEM_COUNTS}
    return (
        {name: count for name, count in counts.items() if type(count) is int} if type(counts["count"]) is int else None
    )


def _summarize_nodes(steps: Sequence[StepDocument]) -> list[NodeSummary]:
    statuses: defaultdict[str, Counter[Status]] = defaultdict(Counter)
    ports: defaultdict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, StepDocument] = {}
    for step in steps:
        node, status = step.node_id, step.status
        statuses[node][status] += 1
        port = find_port(step.id, status, step.completed_at is not None, step.decision, step.output_data)
        if port is not None:
            ports[node][port] += 1
        if node not in first or RANKS[status] <= RANKS[first[node].status]:
            first[node] = step
    return [
        NodeSummary(
            node_id=node,
            statuses=dict(statuses[node]),
            ports=dict(ports[node]),
            first=_make_line(step),
            result=_digest(step),
        )
        for node, step in first.items()
    ]


def _digest(step: StepDocument) -> str:
    result = [step.output_data, step.error and step.error.get("error_type")]
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:16]


def _summarize_passes(steps: Sequence[StepDocument], iterations: Mapping[str, int]) -> Iterator[PassSummary]:
    """Yield the iterations of each loop within the chosen iterations of the loops around it."""
    found: defaultdict[str, dict[int, Status]] = defaultdict(dict)
    for path, status in _find_urgent_statuses(steps).items():
        for owner, index in _split_path(path):
            seen = found[owner]
            if index not in seen or RANKS[status] < RANKS[seen[index]]:
                seen[index] = status
            if iterations.get(owner, index) != index:
                break
    for owner, seen in found.items():
        yield PassSummary(node_id=owner, statuses=dict(Counter(seen.values())), listed=_list_iterations(seen))


def _find_urgent_statuses(steps: Sequence[StepDocument]) -> dict[str, Status]:
    """Return the most urgent status of the steps in each path: there are far fewer paths than steps."""
    urgent: dict[str, Status] = {}
    for step in steps:
        if step.status in URGENT:
            before = urgent.get(step.path, "completed")
            urgent[step.path] = min(step.status, before, key=RANKS.__getitem__)
        else:
            urgent.setdefault(step.path, "completed")
    return urgent


def _list_iterations(seen: Mapping[int, Status]) -> list[IterationSummary]:
    ordered = sorted(seen.items(), key=lambda entry: (RANKS[entry[1]], -entry[0]))[:MAX_ITERATIONS]
    return [IterationSummary(index=index, status=status) for index, status in sorted(ordered)]
