"""The run document and its parts, as programs and people read them (SPEC §9). Replay-sensitive.

Times are aware and in UTC; `*_ms` are milliseconds.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator.errors import ErrorType, parse_error_type
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.plan import Plan
from orchestrator.model.usage import Usage

Reason = Literal["delay", "event", "approval", "operator", "paused", "child", "no_worker"]
"""What a run waits for, in lists; `no_worker` is that of a pending one."""
ResolutionAction = Literal["retry", "skip", "fallback", "abort", "retry_from"]
"""How an operator resolves a step that has failed."""
RepairKind = Literal["set_variables", "set_parameters", "set_result", "skip_node", "skip_wait", "retry_now"]
"""What an operator can change in a run that is in progress."""
InterventionKind = Literal[RepairKind, "resolve", "pause", "resume", "migrate"]
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


class Attempt(Document):
    """One attempt of an action, as far as Temporal records it: of earlier ones it knows the last failure alone."""

    number: int = Field(description="Number of the attempt, from 1.")
    started_at: datetime | None = Field(None, description="When a worker took it.")
    ended_at: datetime | None = Field(None, description="When it ended.")
    error: dict[str, Any] | None = Field(None, description="`{message, error_type}` where it failed.")


class StepSummary(Document):
    """What a step and a line about it have in common."""

    id: str = Field(description="Step ID.")
    node_id: str = Field(description="Node ID.")
    path: str = Field("", description="Iterations and branches that the step is in, such as `each[7]`.")
    status: Status = Field(description="Status of the step.")
    started_at: datetime = Field(description="When it started.")
    completed_at: datetime | None = Field(None, description="When it ended; null while it is running.")
    duration_ms: int | None = Field(None, description="How long it took, in milliseconds.")
    retry_count: int = Field(0, description="Number of attempts after the first.")
    next_attempt_at: datetime | None = Field(None, description="When the next attempt is due; null while none is.")
    run_id: str | None = Field(None, description="ID of the run that a `workflow` node has called.")
    decision: Any = Field(
        None, description="What a condition compared, the values that it saw, and the port that it took."
    )
    reused: bool = Field(False, description="Done by the run that this one is a rerun of, and not done again.")


class StepDocument(StepSummary):
    """One execution of one node (SPEC §9)."""

    input_data: DataField = Field({}, description="Parameters that the node was given.")
    output_data: DataField = Field({}, description="Output of the node.")
    error: dict[str, Any] | None = Field(None, description="The error document of a step that failed.")
    attempts: list[Attempt] = Field([], description="Attempts of the action, with their times, as far as recorded.")
    warnings: list[str] = Field([], description="What did not go as the definition says.")
    progress: dict[str, int] | None = Field(
        None, description="Of a loop in progress, if its number of iterations is known: `{count, succeeded, failed}`."
    )


class CalledVersion(Document):
    """A workflow that a node of a run calls, and the version that the run took when it started."""

    node_id: str = Field(description="ID of the node that calls it.")
    workflow_id: str = Field(description="ID of the workflow that is called.")
    version: int = Field(description="Its version; 0 is a draft or a definition that is not stored.")


class Intervention(Document):
    """What an operator has done to a run."""

    kind: InterventionKind = Field(description="What was done.")
    at: datetime = Field(description="When the run took it.")
    by: str = Field("", description="Who did it: the name of an API key.")
    reason: str = Field("", description="Why.")
    node_id: str | None = Field(None, description="ID of the node it was done to.")
    step_id: str | None = Field(
        None, description="ID of the step it was done to; null where it holds for later steps of the node."
    )
    path: str = Field("", description="The iteration or branch it was done in, such as `each[7]`; empty for the run.")
    names: list[str] = Field([], description="Names of the variables or parameters that were set.")
    action: ResolutionAction | None = Field(None, description="For `resolve`: how the step went on.")
    version: int | None = Field(None, description="For `migrate`: the version that the run was to move to.")
    map: dict[str, str] = Field({}, description="For `migrate`: the new IDs of nodes, by the IDs before.")
    refused: list[str] = Field([], description="For `migrate`: why the run has stayed with its version after all.")


class RunSummary(Document):
    """A run in a list; times in UTC."""

    id: str = Field(description="Run ID.")
    workflow_id: str = Field(description="Workflow ID.")
    workflow_version: int = Field(
        description="Version of the workflow; 0 is a draft or a definition that is not stored."
    )
    customer_id: str = Field(DEFAULT_CUSTOMER, description="Customer ID.")
    status: Status = Field(description="Status of the run.")
    trigger_type: str = Field("manual", description="What started the run.")
    started_at: datetime = Field(description="When it started.")
    completed_at: datetime | None = Field(None, description="When it ended; null while it is running.")
    duration_ms: int | None = Field(None, description="How long it took, in milliseconds.")
    rerun_of: str | None = Field(None, description="ID of the run that it continues.")
    cancelled_by: str | None = Field(None, description="Who cancelled or terminated it: the name of an API key.")
    cancel_reason: str | None = Field(None, description="Why it was cancelled or terminated.")
    workflow_name: str = Field("", description="Name of the workflow.")
    parent_run_id: str | None = Field(None, description="ID of the run that called it.")
    reason: Reason | None = Field(None, description="What it waits for, or why nothing has taken it.")
    node_id: str | None = Field(None, description="The node where it waits or is tried again, or that failed.")
    waiting_for: list[dict[str, Any]] = Field([], description="What it waits for, as in the run document.")
    error_type: str | None = Field(None, description="Type of the failure, or of that of the last attempt.")
    error: str | None = Field(None, description="The message of the failure, or of that of the last attempt.")
    keys: dict[str, str] = Field({}, description="Its business keys.")
    as_of: datetime | None = Field(None, description="When this was so; a list may lag behind the runs.")


class Run(Document):
    """The run document (SPEC §9)."""

    id: str = Field(description="Run ID.")
    workflow_id: str = Field(description="Workflow ID.")
    workflow_name: str = Field("", description="Name of the workflow.")
    workflow_version: int = Field(
        description="Version of the workflow; 0 is a draft or a definition that is not stored."
    )
    customer_id: str = Field(DEFAULT_CUSTOMER, description="Customer ID.")
    status: Status = Field(description="Status of the run.")
    trigger_type: str = Field("manual", description="What started the run.")
    trigger_data: Any = Field(None, description="The event, request or fire time that started it.")
    input_data: DataField = Field({}, description="Input of the run.")
    context: dict[str, Any] = Field({}, description="Variables at the end, or so far.")
    steps: list[StepDocument] = Field([], description="Steps, the newest up to the `step_log_limit`.")
    current_node_id: str | None = Field(None, description="ID of the node that is running.")
    started_at: datetime | None = Field(None, description="When it started.")
    completed_at: datetime | None = Field(None, description="When it ended; null while it is running.")
    error: str | None = Field(None, description="The message of the failure, for people.")
    failure: dict[str, Any] | None = Field(None, description="The error document of the failure.")
    output: Any = Field(None, description="Output of the run.")
    duration_ms: int | None = Field(None, description="How long it took, in milliseconds.")
    steps_completed: int = Field(0, description="Number of steps that have ended.")
    steps_total: int = Field(0, description="Steps started so far; each pass through a node counts.")
    waiting_for: list[dict[str, Any]] = Field(
        [], description="Open waits: `{node_id, step_id, kind: delay|event|approval|operator|paused|child|worker, …}`."
    )
    warnings: list[str] = Field([], description="About the run as a whole; those of steps are on the steps.")
    interventions: list[Intervention] = Field(
        [], description="What operators have done to it, the oldest first: up to 200 of the run and of each branch."
    )
    calls: list[CalledVersion] = Field([], description="The workflows that its nodes call, with their versions.")
    moving_to: int | None = Field(
        None, description="The version that it moves to at its next node boundary, where one was asked for."
    )
    complete: bool = Field(
        True, description="False where a part of the record could not be read: steps and their counts are missing then."
    )
    keys: dict[str, str] = Field({}, description="Its business keys, as `settings.keys` names them.")
    parent_run_id: str | None = Field(None, description="ID of the run that called it.")
    rerun_of: str | None = Field(None, description="ID of the run that it continues.")
    cancelled_by: str | None = Field(
        None, description="Who cancelled or terminated it, from the request on: the name of an API key."
    )
    cancel_reason: str | None = Field(None, description="Why it was cancelled or terminated.")
    usage: Usage | None = Field(None, description="What it has used; null until that is counted, after its end.")
    reruns: list[str] = Field(
        [], description="Reruns of this run, the oldest first; empty where there is no index of runs."
    )
    links: dict[str, str] = Field({}, description="Addresses of the run: `self`, and `temporal_ui` where it is known.")

    @classmethod
    def from_summary(cls, summary: RunSummary, **details: Any) -> "Run":
        """Return the document of a run from its summary and the other fields."""
        shared = {name: getattr(summary, name) for name in RunSummary.model_fields if name in cls.model_fields}
        return cls(**(shared | details))


MAX_PAYLOAD_BYTES = 1_900_000
"""Temporal refuses payloads over 2 MiB, with their metadata and the command around them."""
MAX_STORED_BYTES = 8_000_000
"""With a payload store a value has no limit but the time and memory that it takes: to encode 8 MB takes up to 0.3 s."""


class RunInfo(BaseModel):
    """The identity of a run, as it is recorded in history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    customer_id: str = DEFAULT_CUSTOMER
    trigger_type: str = "manual"
    attempt: int = 1
    parent_run_id: str | None = None
    rerun_of: str | None = None
    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    """Largest value that the run may record: larger where there is a payload store. A replay has the same limit."""

    @property
    def has_payload_store(self) -> bool:
        """Whether large payloads of the run are stored outside of Temporal."""
        return self.max_payload_bytes > MAX_PAYLOAD_BYTES


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
        workflow_name=plan.name,
        parent_run_id=info.parent_run_id,
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
