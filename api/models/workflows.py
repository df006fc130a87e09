"""What requests and answers look like, beside definitions and run documents."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import UtcTime
from api.models.base import Model, PublishedVersion
from orchestrator.errors import Problem
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


class ValidationResult(BaseModel):
    """What is wrong with a definition; it can run when no problem is an error."""

    valid: bool
    problems: list[ProblemView]


class RollbackRequest(Model):
    """Which version to publish again."""

    version: PublishedVersion = Field(examples=[1])


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

    start_at: UtcTime = Field(examples=["2026-01-01T00:00:00Z"])
    end_at: UtcTime = Field(examples=["2026-01-02T00:00:00Z"])

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end_at < self.start_at:
            raise PydanticCustomError("bad_span", "`end_at` is before `start_at`")
        if self.start_at < EPOCH:
            raise PydanticCustomError("bad_span", f"nothing starts before {EPOCH.year}")
        return self


class BackfillResult(BaseModel):
    """How many runs were asked for."""

    runs: int


def make_problem_view(problem: Problem) -> ProblemView:
    """Show a problem of a definition."""
    return ProblemView.model_validate(problem.to_json())
