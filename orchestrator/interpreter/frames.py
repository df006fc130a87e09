"""The progress of a run as a tree of frames, from which it can be resumed. Replay-sensitive.

A frame is one pass through a scope: the whole run, an iteration or a branch. It says which nodes are still to run and
which one is in progress. A loop or a parallel in progress has the frames inside it. With a map of three rows, at most
two at a time, where row 0 runs the fourth pass of a loop of its own, row 1 waits for an approval, and row 2 is still
to come:

    Frame                  active: after
      LoopFrame "rows"     index 0
        Fork 0             data: row = …, n = 3
          Frame            active: -
            LoopFrame "poll"  index 3
              Frame        active: check
        Fork 1             data: row = …
          Frame            active: send
            WaitFrame "approve"  until 12:00

Iterations in sequence share the data of what surrounds them. What runs beside something else is a fork: it has data of
its own, written as the difference to the data around it (`Data.to_difference`).

A run can be written down when every frame is at rest: between two nodes, or in a delay, a wait or a step that waits for
an operator, which continue with the time that is left. An action, a called workflow or a branch in a child workflow is
a `BusyNode`: it has to end first.

The keys that `to_json` writes are read by later releases: they do not follow a renamed field.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from orchestrator.interpreter.child_results import BatchEnd, Batches, branch_from_json, branch_to_json
from orchestrator.interpreter.effects import BranchResult
from orchestrator.interpreter.iteration_result import IterationResult
from orchestrator.interpreter.leaf_frames import AgainIteration, BusyNode, DelayFrame, OperatorFrame, WaitFrame
from orchestrator.interpreter.rank_changes import Departure, RankChanges, changes_from_json, changes_to_json
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.variables import Data
from orchestrator.model.plan import Scope
from orchestrator.model.run import format_timestamp


@dataclass(slots=True)
class Fork:
    """A flow of control beside others: a concurrent iteration or an inline branch in progress."""

    frame: "Frame"
    data: Data

    def to_json(self, parent: Data) -> dict[str, Any]:
        """Return the fork as it is carried over continue-as-new, next to the data that it was forked from."""
        return {"frame": self.frame.to_json(self.data), "data": self.data.to_difference(parent)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], parent: Data) -> "Fork":
        """Read what `to_json` wrote."""
        data = Data.from_difference(fields["data"], parent)
        return cls(Frame.from_json(fields["frame"], data), data)


@dataclass(slots=True)
class LoopFrame:
    """A loop in progress."""

    step: Step
    items: list[Any] | None
    """`None` for a count or a bare `while`."""
    count: int | None
    """Number of items; `None` when only `while` decides."""
    index: int = 0
    """The iteration in progress, or the next one; of concurrent ones the first that has not ended."""
    collected: list[Any] = field(default_factory=list)
    failed: int = 0
    """Number of failed iterations."""
    shadowed: dict[str, Any] = field(default_factory=dict)
    """Variables that the loop variables hide."""
    set_before: list[str] = field(default_factory=list)
    """Those of them that the flow had set, and not only inherited."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """`{index, error}` of the first failed iterations."""
    exits: list[str] = field(default_factory=list)
    """Nodes outside the body that iterations have reached."""
    merged: dict[str, Any] = field(default_factory=dict)
    """Variables that concurrent iterations have set, in their order; set in the flow when the loop ends."""
    merged_steps: Mapping[str, Any] = field(default_factory=dict)
    frame: "Frame | None" = None
    """The iteration in progress of a sequential loop."""
    forks: dict[int, Fork] = field(default_factory=dict)
    """Concurrent iterations in progress."""
    ended: dict[int, IterationResult] = field(default_factory=dict)
    """Concurrent iterations that have ended before an earlier one has."""
    broken: bool = False
    """`break_when` has held in a concurrent iteration: no further one begins."""
    until: datetime | None = None
    """Between two iterations of a sequential loop: when the next one begins."""
    max_failures: int | None = None
    """Number of failed iterations to continue after."""
    again: list[AgainIteration] = field(default_factory=list)
    """Failed iterations of a sequential loop to run again first; `frame` is that of the first one."""
    first: int = 0
    """The first iteration of a batch, whose items alone are in `items`; `count` is that of the whole loop up to it."""
    limit: int | None = None
    """Iterations at a time of a batch; `None` for a whole loop."""
    batches: Batches | None = None
    """The batches of a wide loop."""
    collect_limit: int | None = None
    """Of a wide loop and its batches: bytes that `collected` may have as JSON."""
    collected_bytes: int | None = None
    """Those that it has; `None` before they are measured."""

    @property
    def current_index(self) -> int:
        """The iteration of `frame`."""
        return self.again[0].index if self.again else self.index

    def list_unmerged_batches(self) -> list[BatchEnd]:
        """Return the batches that have ended and are not in the counts of the loop."""
        return [] if self.batches is None else [*self.batches.ended.values(), *self.batches.stopped]

    def to_json(self, data: Data) -> dict[str, Any]:
        """Return the loop as it is carried over continue-as-new."""
        fields = {
            "items": self.items,
            "count": self.count,
            "index": self.index,
            "collected": self.collected,
            "failed": self.failed,
            "shadowed": self.shadowed,
            "set_before": self.set_before,
            "errors": self.errors,
            "left": self.exits,
            "merged": self.merged,
            "merged_steps": self.merged_steps,
            "frame": self.frame and self.frame.to_json(data),
            "forks": forks_to_json(self.forks, data),
            "ended": [[index, result.to_json()] for index, result in self.ended.items()],
            "broken": self.broken,
            "until": self.until and format_timestamp(self.until),
            "max_failures": self.max_failures,
            "again": [each.to_json() for each in self.again] or None,
            "first": self.first or None,
            "limit": self.limit,
            "batches": self.batches.to_json()
            if self.batches and (self.batches.ended or self.batches.children)
            else None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, step: Step, fields: Mapping[str, Any], data: Data) -> "LoopFrame":
        """Read what `to_json` wrote."""
        return cls(
            step,
            fields.get("items"),
            fields.get("count"),
            index=fields["index"],
            collected=list(fields["collected"]),
            failed=fields["failed"],
            shadowed=dict(fields["shadowed"]),
            set_before=list(fields["set_before"]),
            errors=list(fields["errors"]),
            exits=list(fields["left"]),
            merged=dict(fields["merged"]),
            merged_steps=fields["merged_steps"],
            frame=Frame.from_json(fields["frame"], data) if fields.get("frame") else None,
            forks=forks_from_json(fields["forks"], data),
            ended={index: IterationResult.from_json(entry) for index, entry in fields["ended"]},
            broken=fields["broken"],
            until=datetime.fromisoformat(fields["until"]) if "until" in fields else None,
            max_failures=fields.get("max_failures"),
            again=[AgainIteration(*entry) for entry in fields.get("again", ())],
            first=fields.get("first", 0),
            limit=fields.get("limit"),
            batches=Batches.from_json(fields["batches"]) if "batches" in fields else None,
        )


@dataclass(slots=True)
class ParallelFrame:
    """A parallel in progress."""

    step: Step
    needed: int | None
    """Number of branches that must complete; `None` for all."""
    forks: dict[int, Fork] = field(default_factory=dict)
    """Branches in progress."""
    results: dict[int, BranchResult] = field(default_factory=dict)
    """Branches that have ended, in the order in which they did."""
    waits: tuple[tuple[str, ...], ...] = ()
    """The events that each branch waits for, as the plan has them."""
    children: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What branches begin with that a rerun continues as child workflows: `{state, inbox, …}`."""
    is_busy: bool = False
    """Branches run as child workflows: they have to end before the run can be written down."""

    def to_json(self, data: Data) -> dict[str, Any]:
        """Return the parallel as it is carried over continue-as-new."""
        return {
            "needed": self.needed,
            "forks": forks_to_json(self.forks, data),
            "results": [[index, branch_to_json(result)] for index, result in self.results.items()],
            **({"children": [[index, child] for index, child in self.children.items()]} if self.children else {}),
        }

    @classmethod
    def from_json(cls, step: Step, fields: Mapping[str, Any], data: Data) -> "ParallelFrame":
        """Read what `to_json` wrote."""
        results = {index: branch_from_json(entry) for index, entry in fields["results"]}
        children = dict(fields.get("children", ()))
        return cls(step, fields["needed"], forks_from_json(fields["forks"], data), results, children=children)


OpenNode = BusyNode | DelayFrame | WaitFrame | OperatorFrame | LoopFrame | ParallelFrame


@dataclass(slots=True)
class Frame:
    """Progress of a scope."""

    active: list[int]
    """Ranks to run, ascending."""
    visits: dict[str, int] = field(default_factory=dict)
    """How often each node has started; numbers the steps of a cycle."""
    exits: list[str] = field(default_factory=list)
    """Nodes outside the scope that a path has reached, in order."""
    open: OpenNode | None = None
    """The node in progress: it is not among `active` any longer."""
    changes: RankChanges = field(default_factory=dict)
    """What has changed in `active` since the newest entry of the undo log for this pass."""
    departure: Departure | None = None
    """Of the node before, until the next one is taken; only a move to another version needs it."""

    def take(self) -> int:
        """Take the lowest active rank, to run it."""
        rank = self.active.pop(0)
        self._record_change(rank, was_active=True)
        self.departure = None
        return rank

    def activate(self, rank: int) -> bool:
        """Add a rank, once, in order; return whether it is new."""
        at = bisect_left(self.active, rank)
        if at < len(self.active) and self.active[at] == rank:
            return False
        self.active.insert(at, rank)
        self._record_change(rank, was_active=False)
        return True

    def deactivate(self, rank: int) -> None:
        """Take back that a rank was activated."""
        self.active.remove(rank)
        self._record_change(rank, was_active=True)

    def _record_change(self, rank: int, *, was_active: bool) -> None:
        if rank in self.changes:
            del self.changes[rank]  # it is again what it was
        else:
            self.changes[rank] = was_active

    def list_inner(self) -> "list[Frame]":
        """Return the frames of the node in progress."""
        match self.open:
            case LoopFrame() as loop:
                return [*([loop.frame] if loop.frame else ()), *(fork.frame for fork in loop.forks.values())]
            case ParallelFrame() as parallel:
                return [fork.frame for fork in parallel.forks.values()]
            case _:
                return []

    def iterate_open_nodes(self) -> Iterator[OpenNode]:
        """Yield the nodes in progress in this frame and those inside it, from the outside in."""
        frames = [self]
        while frames:
            frame = frames.pop()
            if frame.open is not None:
                yield frame.open
                frames.extend(frame.list_inner())

    def list_waiting_branches(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return the inline branches that have not ended, as `(paths from the outermost in, events they wait for)`."""
        found: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        frames: list[tuple[Frame, tuple[str, ...]]] = [(self, ())]
        while frames:
            frame, paths = frames.pop()
            if not isinstance(frame.open, ParallelFrame):
                frames.extend((inner, paths) for inner in frame.list_inner())
                continue
            parallel = frame.open
            for index, waits in enumerate(() if parallel.is_busy else parallel.waits):
                if index not in parallel.results:
                    inside = (*paths, parallel.step.make_inner_path(index))
                    found.append((inside, waits))
                    if index in parallel.forks:
                        frames.append((parallel.forks[index].frame, inside))
        return found

    def is_at_rest(self) -> bool:
        """Return whether nothing is in progress that cannot be written down."""
        return not any(map(_is_busy, self.iterate_open_nodes()))

    @classmethod
    def new(cls, scope: Scope) -> "Frame":
        """Return the frame of a scope that is about to start."""
        return cls(sorted(scope.entries), exits=list(scope.exits))

    def to_json(self, data: Data) -> dict[str, Any]:
        """Return the frame as it is carried over continue-as-new; `data` is that of the flow it belongs to."""
        return {
            "active": self.active,
            "visits": self.visits,
            "left": self.exits,
            "open": self.open and _open_to_json(self.open, data),
            "changes": changes_to_json(self.changes),
            **({"departure": self.departure.to_json()} if self.departure is not None else {}),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], data: Data) -> "Frame":
        """Read what `to_json` wrote."""
        node = fields["open"] and _open_from_json(fields["open"], data)
        changes = changes_from_json(fields["changes"])
        left = Departure.from_json(fields["departure"]) if "departure" in fields else None
        return cls(list(fields["active"]), dict(fields["visits"]), list(fields["left"]), node, changes, left)


def _is_busy(node: OpenNode) -> bool:
    match node:
        case ParallelFrame():
            return node.is_busy
        case LoopFrame():
            return node.batches is not None and node.batches.running > 0
        case _:
            return isinstance(node, BusyNode)


def _open_to_json(node: OpenNode, data: Data) -> dict[str, Any]:
    """Return a node in progress; a busy one is written only in the state of a run that has ended."""
    step = node.step.to_json()
    match node:
        case BusyNode():
            return {"kind": "busy", "step": step}
        case DelayFrame():
            return {"kind": "delay", "step": step, **node.to_json()}
        case WaitFrame():
            return {"kind": "wait", "step": step, **node.to_json()}
        case OperatorFrame():
            return {"kind": "operator", "step": step, **node.to_json()}
        case LoopFrame():
            return {"kind": "loop", "step": step, **node.to_json(data)}
        case ParallelFrame():
            return {"kind": "parallel", "step": step, **node.to_json(data)}
        case _:
            assert_never(node)


def _open_from_json(fields: Mapping[str, Any], data: Data) -> OpenNode:
    step = Step.from_json(fields["step"])
    match fields["kind"]:
        case "delay":
            return DelayFrame.from_json(step, fields)
        case "wait":
            return WaitFrame.from_json(step, fields)
        case "operator":
            return OperatorFrame.from_json(step, fields)
        case "loop":
            return LoopFrame.from_json(step, fields, data)
        case "parallel":
            return ParallelFrame.from_json(step, fields, data)
        case _:
            return BusyNode(step)


def forks_to_json(forks: Mapping[int, Fork], parent: Data) -> list[list[Any]]:
    """Return forks by index; JSON has no whole numbers as keys."""
    return [[index, fork.to_json(parent)] for index, fork in forks.items()]


def forks_from_json(entries: list[list[Any]], parent: Data) -> dict[int, Fork]:
    """Read what `forks_to_json` wrote."""
    return {index: Fork.from_json(fields, parent) for index, fields in entries}
