"""The state of one scope of a run: its frame, its steps, its loops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.language.condition_reader import build_evidence
from orchestrator.model.run import ErrorDocument, Status, StepDocument, count_milliseconds, format_timestamp


@dataclass(slots=True)
class Step:
    """One execution of one node, while it is being written."""

    id: str
    node_id: str
    path: str
    status: Status
    started_at: datetime
    number: int = 0
    """Place in the order of starts, from 1."""
    completed_at: datetime | None = None
    input: Any = None
    output: Any = None
    error: ErrorDocument | None = None
    retry_count: int = 0
    warnings: tuple[str, ...] = ()
    decision: Any = None
    """Raw evidence; see `orchestrator.conditions.evidence`."""
    waiting_for: dict[str, Any] | None = None

    def to_document(self) -> StepDocument:
        """Show the step."""
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
        """Write the step down."""
        written = {name: getattr(self, name) for name in self.__slots__}
        written["started_at"] = format_timestamp(self.started_at)
        written["completed_at"] = self.completed_at and format_timestamp(self.completed_at)
        written["error"] = self.error and self.error.to_json()
        written["decision"] = render_decision(self.decision)
        return {name: value for name, value in written.items() if value not in (None, (), "", 0)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Step":
        """Read what `to_json` wrote."""
        read = {"path": "", **written}
        read["started_at"] = datetime.fromisoformat(read["started_at"])
        if "completed_at" in read:
            read["completed_at"] = datetime.fromisoformat(read["completed_at"])
        if "error" in read:
            read["error"] = ErrorDocument.from_json(read["error"])
        read["warnings"] = tuple(read.get("warnings", ()))
        return cls(**read)


def render_decision(decision: Any) -> Any:
    """Render raw evidence; what is already rendered, or absent, stays."""
    return build_evidence(decision[0], decision[1]) if isinstance(decision, tuple) else decision


@dataclass(slots=True)
class LoopFrame:
    """Where a loop that runs one after another stands."""

    step: Step
    items: list[Any] | None
    """`None` for a count or a bare `while`."""
    count: int | None
    """How many iterations there are at most; `None` when only `while` says."""
    index: int = 0
    collected: list[Any] = field(default_factory=list)
    failed: int = 0
    shadowed: dict[str, Any] = field(default_factory=dict)
    """Variables that the loop variables hide."""
    left: list[str] = field(default_factory=list)
    merged: dict[str, Any] = field(default_factory=dict)
    """What iterations beside each other have set, in their order; given to the flow when the loop ends."""
    merged_steps: dict[str, Any] = field(default_factory=dict)
    frame: "Frame | None" = None
    """The iteration in progress."""

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        written = {name: getattr(self, name) for name in self.__slots__}
        written["step"] = self.step.to_json()
        written["frame"] = self.frame and self.frame.to_json()
        return written

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "LoopFrame":
        """Read what `to_json` wrote."""
        frame = written["frame"]
        read = {**written, "step": Step.from_json(written["step"]), "frame": frame and Frame.from_json(frame)}
        return cls(**read)


@dataclass(slots=True)
class Frame:
    """Where a scope stands between two nodes."""

    active: list[int]
    """Ranks to run, ascending."""
    visits: dict[str, int] = field(default_factory=dict)
    """How often each node has started; numbers the steps of a cycle."""
    left: list[str] = field(default_factory=list)
    """Nodes outside that a path has reached, in order."""
    loop: LoopFrame | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        return {
            "active": self.active,
            "visits": self.visits,
            "left": self.left,
            "loop": self.loop and self.loop.to_json(),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Frame":
        """Read what `to_json` wrote."""
        loop = written["loop"]
        return cls(**{**written, "loop": loop and LoopFrame.from_json(loop)})
