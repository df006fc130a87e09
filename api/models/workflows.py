"""What requests and answers look like, beside definitions and run documents."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from api.fields import MAX_VERSION, Moment
from orchestrator.errors import Problem
from orchestrator.interpreter.effects import ResolutionAction
from orchestrator.service import CUSTOMER_NAME, MAX_CUSTOMER
from orchestrator.store.deliveries import Delivery
from orchestrator.temporal.client.runs import RunSummary
from orchestrator.timing.cron import EPOCH

EXAMPLE: dict[str, Any] = {
    "id": "greeting",
    "name": "Greeting",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "greet", "type": "set", "config": {"text": "Hello {{ input.name | default('you') }}"}},
        {"id": "done", "type": "end", "config": {"output": {"text": "{{ text }}"}}},
    ],
    "edges": [{"source": "trigger", "target": "greet"}, {"source": "greet", "target": "done"}],
}
"""A definition that can be kept and run as it is."""


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: `1.0` is `1`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Model(BaseModel):
    """What is sent to us: an unknown key is a mistake, and so is `"1"` or `true` where a number is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)


PublishedVersion = Annotated[int, Field(ge=1, le=MAX_VERSION), BeforeValidator(_whole)]


class WorkflowDocument(BaseModel):
    """A definition as it is kept, with what the service knows of it."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str | None = None
    customer_id: str
    status: Literal["draft", "active", "paused", "archived"]
    version: int = Field(description="The version that the content has, or will have when it is published.")
    created_at: datetime
    updated_at: datetime
    created_by: str
    run_count: int
    success_count: int
    failure_count: int
    last_run_at: datetime | None
    success_rate: float | None = Field(description="Percentage of the runs that completed or failed; null without any.")


class VersionSummary(BaseModel):
    """A published version in a list."""

    version: int
    published_at: datetime
    published_by: str
    copy_of: int | None = Field(description="The version that a rollback published again.")


class VersionDocument(VersionSummary):
    """A published version: it never changes."""

    definition: dict[str, Any]


class GraphNode(BaseModel):
    """A node of a graph."""

    id: str
    type: str
    name: str


class GraphEdge(BaseModel):
    """A way from one node to another; `trigger` is the start."""

    source: str
    port: str
    target: str
    label: str


class GraphView(BaseModel):
    """A graph, as the planner reads it."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class ProblemView(BaseModel):
    """One thing wrong with a definition, or doubtful."""

    severity: Literal["error", "warning"]
    code: str
    path: str = Field(description="JSON Pointer into the definition.")
    message: str
    hint: str | None = None


class Judgement(BaseModel):
    """What is wrong with a definition; it can run when no problem is an error."""

    valid: bool
    problems: list[ProblemView]


class RollbackRequest(Model):
    """Which version to publish again."""

    version: PublishedVersion = Field(examples=[1])


class StartRequest(Model):
    """How to start a workflow."""

    input: JsonValue = Field(None, examples=[{"name": "Ada"}])
    version: PublishedVersion | None = Field(
        None, description="A published version; the newest, or else the draft, unless given."
    )


class AdHocRequest(Model):
    """A definition to run without keeping it."""

    definition: dict[str, Any] = Field(examples=[EXAMPLE])
    input: JsonValue = None


class RunStarted(BaseModel):
    """A run that goes on."""

    id: str
    workflow_id: str
    duplicate: bool = Field(False, description="It was started before, under the same key.")
    links: dict[str, str]


class RunView(RunSummary):
    """A run in a list."""


class EventRequest(Model):
    """An event: every active workflow that waits for its name starts."""

    id: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The same id starts nothing twice.",
        examples=["evt-1"],
    )
    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\s\x00-\x1f\x7f.*]+(\.[^\s\x00-\x1f\x7f.*]+)*$",
        examples=["order.paid"],
    )
    data: JsonValue = Field(None, examples=[{"order_id": 4711}])
    customer_id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CUSTOMER,
        pattern=CUSTOMER_NAME,
        description="For administrators: whose event it is.",
    )


class StartView(BaseModel):
    """A run that a delivery started, or should have."""

    workflow_id: str
    run_id: str
    state: Literal["pending", "started", "resumed", "failed"]
    reason: str | None = None


class DeliveryView(BaseModel):
    """What came in, and what became of it."""

    id: str
    customer_id: str
    kind: Literal["event", "webhook", "start"]
    name: str
    key: str | None
    outcome: Literal["accepted", "duplicate", "rejected"]
    reason: str | None
    duplicate_of: str | None = Field(description="The delivery that won; the runs are its.")
    redrive_of: str | None
    received: Any = Field(description="What runs see as their trigger.")
    received_at: datetime
    runs: list[StartView] = Field(description="In a list only the first 20 of each delivery.")
    states: dict[str, int] = Field(description="How many of its runs stand how.")


class WebhookAnswer(BaseModel):
    """What became of a request to a webhook."""

    delivery_id: str
    run_id: str
    state: Literal["pending", "started", "resumed"]
    duplicate: bool


class StepRequest(Model):
    """An operator's word on a step that waits for one."""

    node_id: str = Field(min_length=1, max_length=300, description="The node, or the id of one of its steps.")
    action: ResolutionAction = Field(examples=["retry"])
    parameters: dict[str, Any] | None = Field(None, description="For `retry`: call the action with these.")
    value: JsonValue = Field(None, description="For `fallback`: the output.")
    target: str | None = Field(None, max_length=300, description="For `retry_from`: the node to go back to.")


class TerminateRequest(Model):
    """Why a run is ended."""

    reason: str = Field("", max_length=1000, pattern=r"^[^\x00]*$", examples=["started by mistake"])


class RetryRequest(Model):
    """Where a new run begins with what an ended one has, and what is to be other."""

    from_node: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        description="A node of the run's own scope; the one that failed, unless given.",
        examples=["greet"],
    )
    version: PublishedVersion | None = Field(
        None, description="Another published version of the workflow; the same, unless given."
    )
    input: JsonValue = Field(None, description="Another input; the same, unless given.")
    variables: dict[str, JsonValue] = Field(
        {}, description="Variables to set beforehand.", examples=[{"text": "Good morning"}]
    )
    dry_run: bool = Field(False, description="Say what would be done, and start nothing.")


class RetryView(BaseModel):
    """What a retry would do."""

    from_node: str
    version: int
    reused: list[str] = Field(description="Steps whose results are kept, as far as the record of the old run goes.")
    again: list[str] = Field(description="Steps that are done again.")


class Resolved(BaseModel):
    """The step that goes on."""

    step_id: str


class Stats(BaseModel):
    """What the runs of a workflow did."""

    workflow_id: str
    version: int | None = Field(description="Of this version only, where asked for.")
    runs: int
    by_status: dict[str, int]
    success_rate: float | None
    last_run_at: datetime | None
    p50_ms: int | None = Field(description="Half of the completed runs took no longer.")
    p95_ms: int | None


class ScheduleView(BaseModel):
    """When a workflow starts by time."""

    installed: bool = Field(description="Temporal keeps it; otherwise the times are those that it would have.")
    paused: bool
    next_times: list[datetime]


class BackfillRequest(Model):
    """A span of time to make up for."""

    start_at: Moment = Field(examples=["2026-01-01T00:00:00Z"])
    end_at: Moment = Field(examples=["2026-01-02T00:00:00Z"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_at < self.start_at:
            raise PydanticCustomError("bad_span", "`end_at` is before `start_at`")
        if self.start_at < EPOCH:
            raise PydanticCustomError("bad_span", f"nothing starts before {EPOCH.year}")
        return self


class Backfilled(BaseModel):
    """How many runs were asked for."""

    runs: int


def problem_view(problem: Problem) -> ProblemView:
    """Show a problem of a definition."""
    return ProblemView.model_validate(problem.to_json())


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Show an entry of the ledger."""
    values = {name: getattr(delivery, name) for name in DeliveryView.model_fields if name not in ("runs", "states")}
    runs = [
        StartView.model_validate({name: getattr(start, name) for name in StartView.model_fields})
        for start in delivery.starts
    ]
    states = delivery.states or Counter(start.state for start in delivery.starts)
    return DeliveryView(**values, runs=runs, states=dict(states))
