"""The run document and its parts, as programs and people read them (SPEC §9). Replay-sensitive.

Times are aware and in UTC; `*_ms` are milliseconds.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from orchestrator.errors import ErrorType, parse_error_type
from orchestrator.model.plan import Plan

Status = Literal["pending", "running", "waiting", "retrying", "completed", "failed", "cancelled", "skipped"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "skipped"})
OPERATOR_RETRY = re.compile(r"~\d+$")
"""Ends the id of a step in the paths inside it, after an operator has had it tried again; no node id ends like this."""
RESERVED = ("workflow", "run", "trigger", "input", "steps")
RESERVED_NAMES = (*RESERVED, "secrets")
"""Names that no variable may have."""


def _fill_empty(value: Any) -> Any:
    return {} if value is None else value


DataField = Annotated[Any, BeforeValidator(_fill_empty)]
"""Input or output in a document: `{}` where there is none."""


def find_owner(path: str) -> str:
    """Return the id of the step that a path of an iteration or branch is in: `each` for `each[2]` and `each~1[2]`."""
    return OPERATOR_RETRY.sub("", path.rpartition("[")[0])


class Document(BaseModel):
    """A part of the run document."""

    model_config = ConfigDict(extra="forbid")


class ErrorDocument(Document):
    """What went wrong with a step or a run (SPEC §6)."""

    model_config = ConfigDict(frozen=True)

    message: str
    error_type: ErrorType
    details: dict[str, Any] = {}
    node_id: str | None = None
    """The innermost node that failed; null where no node is to blame."""
    recoverable: bool = True
    timestamp: datetime | None = None
    """When it failed; null where the server does not say."""

    def to_json(self) -> dict[str, Any]:
        """Return the document as it appears in histories, templates (`steps.<id>.error`) and responses."""
        return {
            "message": self.message,
            "error_type": self.error_type,
            "details": self.details,
            "node_id": self.node_id,
            "recoverable": self.recoverable,
            "timestamp": self.timestamp and format_timestamp(self.timestamp),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ErrorDocument":
        """Read a document that `to_json` wrote, in this process or in a recorded history."""
        at = document.get("timestamp")
        return cls(
            message=str(document.get("message", "")),
            error_type=parse_error_type(document.get("error_type")),
            details=document.get("details") or {},
            node_id=document.get("node_id") or None,
            recoverable=bool(document.get("recoverable", True)),
            timestamp=datetime.fromisoformat(at) if at else None,
        )


class StepDocument(Document):
    """One execution of one node (SPEC §9)."""

    id: str
    node_id: str
    path: str = ""
    status: Status
    started_at: datetime
    completed_at: datetime | None = None
    input_data: DataField = {}
    output_data: DataField = {}
    error: dict[str, Any] | None = None
    retry_count: int = 0
    duration_ms: int | None = None
    warnings: list[str] = []
    decision: Any = None


class RunSummary(Document):
    """A run in a list; times in UTC."""

    id: str
    workflow_id: str
    workflow_version: int
    customer_id: str = ""
    status: Status
    trigger_type: str = "manual"
    started_at: datetime
    completed_at: datetime | None = None
    duration_ms: int | None = None
    rerun_of: str | None = None


class Run(Document):
    """The run document (SPEC §9)."""

    id: str
    workflow_id: str
    workflow_name: str = ""
    workflow_version: int
    customer_id: str = ""
    status: Status
    trigger_type: str = "manual"
    trigger_data: Any = None
    input_data: DataField = {}
    context: dict[str, Any] = {}
    steps: list[StepDocument] = []
    current_node_id: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    """The message of the failure, for people."""
    failure: dict[str, Any] | None = None
    """The error document (SPEC §6)."""
    output: Any = None
    duration_ms: int | None = None
    steps_completed: int = 0
    steps_total: int = 0
    """Steps started so far; each pass through a node counts."""
    waiting_for: list[dict[str, Any]] = []
    """Open waits: `{node_id, step_id, kind: delay|event|operator|paused|branch, …}`."""
    warnings: list[str] = []
    """About the run as a whole; those of steps are on the steps."""
    complete: bool = True
    """False where a part of the record could not be read: steps and their counts are missing then."""
    parent_run_id: str | None = None
    rerun_of: str | None = None
    reruns: list[str] = []
    """Reruns of this run, the oldest first; empty where there is no index of runs."""
    links: dict[str, str] = {}

    @classmethod
    def from_summary(cls, summary: RunSummary, **details: Any) -> "Run":
        """Return the document of a run from its summary and the other fields."""
        return cls(**summary.model_dump(), **details)


class RunInfo(BaseModel):
    """The identity of a run, as it is recorded in history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    customer_id: str = ""
    trigger_type: str = "manual"
    attempt: int = 1
    parent_run_id: str | None = None
    rerun_of: str | None = None


def summarize_run(
    plan: Plan, info: RunInfo, *, status: Status, started_at: datetime, completed_at: datetime | None = None
) -> RunSummary:
    """Return the summary of a run of a plan."""
    return RunSummary(
        id=info.id,
        workflow_id=plan.id,
        workflow_version=plan.version,
        customer_id=info.customer_id,
        status=status,
        trigger_type=info.trigger_type,
        started_at=started_at,
        completed_at=completed_at,
        duration_ms=count_milliseconds(started_at, completed_at),
        rerun_of=info.rerun_of,
    )


def format_timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def count_milliseconds(start: datetime, end: datetime | None) -> int | None:
    """Return the milliseconds between two times, rounded; `None` without an end."""
    return None if end is None else round((end - start).total_seconds() * 1000)


ATTEMPT_KEY = "$attempt"
"""A worker that needed more than one attempt may return `{ATTEMPT_KEY: n, "result": …}`."""
WARNINGS_KEY = "$warnings"
"""Beside `ATTEMPT_KEY`: texts that become warnings of the step."""


ResolutionAction = Literal["retry", "skip", "fallback", "abort", "retry_from"]
