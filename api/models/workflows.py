"""Bodies of the routes for workflows and versions."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from api.models.base import Model, PublishedVersion
from orchestrator.errors import Problem
from orchestrator.forecast.report import Forecast
from orchestrator.forecast.sizes import Sizes
from orchestrator.jsontools.positions import Position
from orchestrator.model.usage import UsageSum
from orchestrator.planner.verdict import Verdict

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
"""A definition that can be saved and run as it is."""
Definition = Annotated[
    dict[str, Any],
    Body(
        description="The definition; see `GET /schema`.",
        openapi_examples={"greeting": {"summary": "A greeting", "value": EXAMPLE}},
    ),
]


class WorkflowDocument(BaseModel):
    """A saved definition with its status and statistics."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(description="Workflow ID.")
    name: str | None = Field(None, description="Name of the workflow.")
    customer_id: str = Field(description="Customer ID.")
    status: Literal["draft", "active", "paused", "archived"] = Field(description="Status of the workflow.")
    version: int = Field(description="The newest published version; 0 before the first.")
    edited: bool = Field(description="Whether the working copy differs from that version.")
    created_at: datetime = Field(description="When it was created.")
    updated_at: datetime = Field(description="When it was last changed.")
    created_by: str = Field(description="Name of the API key that created it.")
    run_count: int = Field(description="Number of runs of published versions.")
    success_count: int = Field(description="Number of runs that completed.")
    failure_count: int = Field(description="Number of runs that failed.")
    last_run_at: datetime | None = Field(description="When the last run started.")
    success_rate: float = Field(
        description="Percentage of completed runs among completed and failed ones; 0 if there are none."
    )


class HeldCallView(BaseModel):
    """A workflow that a published version calls, as it was when that was published."""

    model_config = ConfigDict(from_attributes=True)

    workflow_id: str = Field(description="ID of the workflow that is called, directly or through others.")
    version: int = Field(description="The version that it runs.")
    pinned: bool = Field(description="Whether `config.version` asks for it; else it was the newest.")
    latest: bool = Field(
        description="Whether it asks for `latest`: each run takes the newest when it starts, as its `calls` say."
    )
    node_ids: list[str] = Field(description="IDs of the nodes that call it; none where another called workflow does.")


class CallingWorkflow(BaseModel):
    """A workflow that calls another, directly or through others."""

    workflow_id: str = Field(description="ID of the caller.")
    version: int = Field(description="Its newest published version.")
    holds: int = Field(description="The version of the called workflow that it runs.")
    pinned: bool = Field(description="Whether it asks for that version.")
    latest: bool = Field(description="Whether its runs take the newest version when they start.")
    outdated: bool = Field(
        description="Whether there is a newer version, which it would get if it was published again."
    )


class CallersView(BaseModel):
    """The workflows that call one."""

    workflow_id: str = Field(description="ID of the workflow that is called.")
    version: int = Field(description="Its newest published version.")
    callers: list[CallingWorkflow] = Field(description="Its callers, by ID.")


class VersionSummary(BaseModel):
    """A published version, without its definition."""

    version: int = Field(description="Number of the version.")
    published_at: datetime = Field(description="When it was published.")
    published_by: str = Field(description="Name of the API key that published it.")
    copy_of: int | None = Field(description="The version that a rollback republished.")
    calls: list[HeldCallView] = Field(description="The workflows that it calls, with the versions that it runs.")


class VersionDocument(VersionSummary):
    """A published version. It never changes."""

    definition: dict[str, Any] = Field(description="The definition as it was published.")


class ProblemView(BaseModel):
    """An error or a warning about a definition."""

    severity: Literal["error", "warning"] = Field(description="An error, or a warning.")
    code: str = Field(description="Stable name of the rule, for programs.")
    path: str = Field(description="JSON Pointer into the definition.")
    message: str = Field(description="What is wrong.")
    hint: str | None = Field(None, description="What to do about it.")


class LocatedProblem(ProblemView):
    """An error or a warning about a definition that was sent."""

    line: int | None = Field(None, description="Line of a body in YAML, from 1; null for JSON.")
    column: int | None = Field(None, description="Column in that line, from 1; null for JSON.")


class CalledWorkflow(WorkflowDocument):
    """A workflow that has been published again or archived, with those that call it."""

    callers: list[CallingWorkflow] = Field(
        description="The workflows that call it, with the version of it that each of them holds."
    )


class ActivatedWorkflow(CalledWorkflow):
    """A workflow that has been activated."""

    warnings: list[ProblemView] = Field(
        description="Likely mistakes in the published definition, such as secrets that are missing."
    )


class NameView(BaseModel):
    """A name that a template may read, and what it holds."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="The path, as a template writes it.", examples=["steps.fetch.output.status"])
    type: str = Field(
        description="What it may be: `text`, `number`, `true or false`, `list`, `object`, `null`, several of them with "
        "`or` between them, or `any`.",
        examples=["number or null"],
    )
    may_be_missing: bool = Field(description="Whether it is set on only some of the paths that lead here.")


class PausedWorkflow(WorkflowDocument):
    """A workflow that has been paused."""

    bulk_id: str | None = Field(
        description="ID of the operation that pauses its open runs; null where it has none, or they continue."
    )


class ValidationResult(BaseModel):
    """The problems of a definition; it is valid if none of them is an error."""

    valid: bool = Field(description="Whether no problem is an error.")
    problems: list[LocatedProblem] = Field(description="All problems.")
    names: list[NameView] | None = Field(
        None,
        description="With `at`: the names that can be read there, at most 2,000 and the secrets; none where no run "
        "computes anything. Null without `at`.",
    )
    forecast: Forecast | None = Field(
        None, description="With `budget`: what a run adds to its history. Null without it, and where there are errors."
    )


class ValidationRequest(Model):
    """Definitions to check together."""

    workflows: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=100,
        description="Definitions, which may call each other: one of them is used instead of the saved one of the same "
        "id.",
        examples=[[EXAMPLE]],
    )
    budget: Sizes | None = Field(
        None, description="Sizes for which to forecast a run of each definition; `{}` takes the defaults."
    )


class ValidationResults(BaseModel):
    """The problems of several definitions."""

    customer_id: str = Field(description="The customer that they were checked for.")
    results: list[ValidationResult] = Field(description="One result for each definition, in their order.")


class ChangeView(BaseModel):
    """One difference between two versions."""

    kind: Literal["added", "removed", "changed"] = Field(description="Whether it was added, removed or changed.")
    path: str = Field(
        description="JSON Pointer into the definition, with the id of a node or edge in place of its index.",
        examples=["/nodes/greet/config/text"],
    )
    before: Any = Field(None, description="The value in the first version; null where it was added.")
    after: Any = Field(None, description="The value in the second version; null where it was removed.")


class ComparisonView(BaseModel):
    """What changes from one version to another."""

    from_version: int = Field(description="The first version; 0 is the working copy.")
    to_version: int = Field(description="The second version; 0 is the working copy.")
    changes: list[ChangeView] = Field(description="The differences, at most 1,000.")


class RollbackRequest(Model):
    """The version to republish."""

    version: PublishedVersion = Field(examples=[1], description="Number of the version to publish again.")


class Stats(BaseModel):
    """Statistics of the runs of a workflow."""

    workflow_id: str = Field(description="Workflow ID.")
    version: int | None = Field(description="The version the statistics are limited to.")
    runs: int = Field(description="Number of runs.")
    by_status: dict[str, int] = Field(description="Number of runs by status.")
    success_rate: float = Field(
        description="Percentage of completed runs among completed and failed ones; 0 if there are none."
    )
    last_run_at: datetime | None = Field(description="When its last run started.")
    p50_ms: int | None = Field(description="Median duration of the completed runs, in milliseconds.")
    p95_ms: int | None = Field(description="95th percentile of the durations, in milliseconds.")
    usage: UsageSum = Field(description="What its ended runs have used, as far as that is counted.")


def make_problem_view(problem: Problem) -> ProblemView:
    """Return the response body of a problem."""
    return ProblemView.model_validate(problem.to_json())


def make_validation_result(verdict: Verdict, positions: Iterator[Position] | None = None) -> ValidationResult:
    """Return the response body of a verdict; `positions` yields the position of each problem, if there are any."""
    problems = [
        LocatedProblem(**each.to_json(), **({} if positions is None else asdict(next(positions))))
        for each in verdict.problems
    ]
    return ValidationResult(valid=verdict.plan is not None, problems=problems)
