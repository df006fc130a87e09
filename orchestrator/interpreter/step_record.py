"""The record of a step while its node runs, and in the log of its run. Replay-sensitive.

The keys that `to_json` writes are read by later releases: they do not follow a renamed field.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.language.condition_reader import build_evidence
from orchestrator.model.run import ErrorDocument, Status, StepDocument, count_milliseconds, format_timestamp

current_step: ContextVar[str] = ContextVar("current_step", default="")
"""ID of the step that the current task works for: it tells apart what several steps ask of `Effects`."""


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

    reused: bool = False
    """An earlier run has done it, which this one continues."""

    @property
    def inner_path(self) -> str:
        """Return the path of its iterations or branches without an index: `each`, or `each~1` after a retry.

        The steps of another attempt are other steps: with ids, idempotency keys and child workflows of their own.
        """
        return f"{self.id}~{self.operator_retries}" if self.operator_retries else self.id

    def make_inner_path(self, index: int) -> str:
        """Return the path of an iteration or a branch: `each[2]`, or `each~1[2]` after an operator's first retry."""
        return f"{self.inner_path}[{index}]"

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
            reused=self.reused,
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
            "reused": self.reused or None,
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
