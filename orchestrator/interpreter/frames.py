"""The state of one scope of a run: its frame, its steps, its loops. Replay-sensitive.

The keys that `to_json` writes are read by later releases: they do not follow a renamed field.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.interpreter.rank_changes import RankChanges, changes_from_json, changes_to_json
from orchestrator.language.condition_reader import build_evidence
from orchestrator.model.plan import Scope
from orchestrator.model.run import ErrorDocument, Status, StepDocument, count_milliseconds, format_timestamp


@dataclass(slots=True)
class Step:
    """One execution of one node, while it is being recorded."""

    id: str
    node_id: str
    path: str
    status: Status
    started_at: datetime
    number: int = 0
    """Position in the order of starts, from 1."""
    completed_at: datetime | None = None
    input: Any = None
    output: Any = None
    error: ErrorDocument | None = None
    retry_count: int = 0
    warnings: tuple[str, ...] = ()
    decision: Any = None
    """Raw evidence, rendered only when the step is shown; see `render_decision`."""
    waiting_for: dict[str, Any] | None = None
    retried_at: datetime | None = None
    """When an operator last had it tried again: `timeout_seconds` of the node counts from then."""
    operator_retries: int = 0
    """How often an operator has had it tried again."""

    def make_inner_path(self, index: int) -> str:
        """Return the path of an iteration or a branch: `each[2]`, or `each~1[2]` after an operator's first retry.

        The steps of another attempt are other steps: with ids, idempotency keys and child workflows of their own.
        """
        suffix = f"~{self.operator_retries}" if self.operator_retries else ""
        return f"{self.id}{suffix}[{index}]"

    def close(self, status: Status, now: datetime) -> None:
        """Record that the step has ended."""
        self.status = status
        self.completed_at = now
        self.waiting_for = None

    def to_document(self) -> StepDocument:
        """Return the step as the run document shows it."""
        return StepDocument(
            id=self.id,
            node_id=self.node_id,
            path=self.path,
            status=self.status,
            started_at=self.started_at,
            completed_at=self.completed_at,
            input_data=self.input,
            output_data=self.output,
            error=self.error and self.error.to_json(),
            retry_count=self.retry_count,
            duration_ms=count_milliseconds(self.started_at, self.completed_at),
            warnings=list(self.warnings),
            decision=render_decision(self.decision),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the step as it is carried over continue-as-new; only what is `None` is left out."""
        fields = {
            "id": self.id,
            "node_id": self.node_id,
            "path": self.path,
            "status": self.status,
            "started_at": format_timestamp(self.started_at),
            "number": self.number,
            "completed_at": self.completed_at and format_timestamp(self.completed_at),
            "input": self.input,
            "output": self.output,
            "error": self.error and self.error.to_json(),
            "retry_count": self.retry_count or None,
            "warnings": list(self.warnings) or None,
            "decision": render_decision(self.decision),
            "waiting_for": self.waiting_for,
            "retried_at": self.retried_at and format_timestamp(self.retried_at),
            "operator_retries": self.operator_retries or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Step":
        """Read what `to_json` wrote."""
        values = dict(fields)
        values["started_at"] = datetime.fromisoformat(values["started_at"])
        for name in ("completed_at", "retried_at"):
            if name in values:
                values[name] = datetime.fromisoformat(values[name])
        if "error" in values:
            values["error"] = ErrorDocument.from_json(values["error"])
        values["warnings"] = tuple(values.get("warnings", ()))
        return cls(**values)


def render_decision(decision: Any) -> Any:
    """Render raw evidence; what is already rendered, or absent, stays."""
    return build_evidence(decision[0], decision[1]) if isinstance(decision, tuple) else decision


@dataclass(slots=True)
class LoopFrame:
    """Progress of a loop: it can be carried over continue-as-new between two nodes of an iteration."""

    step: Step
    items: list[Any] | None
    """`None` for a count or a bare `while`."""
    count: int | None
    """Number of iterations at most; `None` when only `while` decides."""
    index: int = 0
    """The iteration in progress, or the next one."""
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
    merged_steps: dict[str, Any] = field(default_factory=dict)
    frame: "Frame | None" = None
    """The iteration in progress."""

    def to_json(self) -> dict[str, Any]:
        """Return the loop as it is carried over continue-as-new."""
        return {
            "step": self.step.to_json(),
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
            "frame": self.frame and self.frame.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "LoopFrame":
        """Read what `to_json` wrote."""
        return cls(
            Step.from_json(fields["step"]),
            fields["items"],
            fields["count"],
            index=fields["index"],
            collected=list(fields["collected"]),
            failed=fields["failed"],
            shadowed=dict(fields["shadowed"]),
            set_before=list(fields["set_before"]),
            errors=list(fields["errors"]),
            exits=list(fields["left"]),
            merged=dict(fields["merged"]),
            merged_steps=dict(fields["merged_steps"]),
            frame=fields["frame"] and Frame.from_json(fields["frame"]),
        )


@dataclass(slots=True)
class Frame:
    """Progress of a scope between two nodes."""

    active: list[int]
    """Ranks to run, ascending."""
    visits: dict[str, int] = field(default_factory=dict)
    """How often each node has started; numbers the steps of a cycle."""
    exits: list[str] = field(default_factory=list)
    """Nodes outside the scope that a path has reached, in order."""
    loop: LoopFrame | None = None
    """The loop of this scope in progress: its node is not among `active` any longer."""
    changes: RankChanges = field(default_factory=dict)
    """What has changed in `active` since the newest entry of the undo log for this pass."""

    def take(self) -> int:
        """Take the lowest active rank, to run it."""
        rank = self.active.pop(0)
        self._record_change(rank, was_active=True)
        return rank

    def activate(self, rank: int) -> None:
        """Add a rank, once, in order."""
        at = bisect_left(self.active, rank)
        if at == len(self.active) or self.active[at] != rank:
            self.active.insert(at, rank)
            self._record_change(rank, was_active=False)

    def _record_change(self, rank: int, *, was_active: bool) -> None:
        if rank in self.changes:
            del self.changes[rank]  # it is again what it was
        else:
            self.changes[rank] = was_active

    @classmethod
    def new(cls, scope: Scope) -> "Frame":
        """Return the frame of a scope that is about to start."""
        return cls(sorted(scope.entries), exits=list(scope.exits))

    def to_json(self) -> dict[str, Any]:
        """Return the frame as it is carried over continue-as-new."""
        return {
            "active": self.active,
            "visits": self.visits,
            "left": self.exits,
            "loop": self.loop and self.loop.to_json(),
            "changes": changes_to_json(self.changes),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Frame":
        """Read what `to_json` wrote."""
        loop = fields["loop"] and LoopFrame.from_json(fields["loop"])
        changes = changes_from_json(fields["changes"])
        return cls(list(fields["active"]), dict(fields["visits"]), list(fields["left"]), loop, changes)
