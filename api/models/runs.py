"""Bodies of the routes for runs."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, JsonValue, model_validator

from api.fields import TEXT
from api.models.base import Model, PublishedVersion
from api.models.workflows import EXAMPLE
from orchestrator.model.run import ResolutionAction, RunSummary, Status
from orchestrator.reruns.preview import RerunPlan, StepCounts
from orchestrator.service.explanations import Explanation

MAX_STEP_ID = 2_000


class StartRequest(Model):
    """The input and version of a new run."""

    input: JsonValue = Field(None, description="Input of the run.", examples=[{"name": "Ada"}])
    version: PublishedVersion | None = Field(
        None, description="A published version. Default: the latest, or the draft if none is published."
    )


class AdHocRequest(Model):
    """A definition to run without saving it."""

    definition: dict[str, Any] = Field(description="The definition; see `GET /schema`.", examples=[EXAMPLE])
    input: JsonValue = Field(None, description="Input of the run.")
    callees: list[dict[str, Any]] = Field(
        [], max_length=100, description="Definitions that it calls, used instead of the saved ones of the same id."
    )


class RunStarted(BaseModel):
    """A run that is in progress."""

    id: str = Field(description="Run ID.")
    workflow_id: str = Field(description="Workflow ID.")
    duplicate: bool = Field(False, description="Whether an earlier request with the same idempotency key started it.")
    links: dict[str, str] = Field(description="URLs of the run in this API and in the Temporal Web UI.")


class RunView(RunSummary):
    """A run in a list."""


class FailureGroupView(BaseModel):
    """Runs of one workflow that failed at one node with one type of error, and have not been rerun."""

    workflow_id: str = Field(description="Workflow ID.")
    node_id: str | None = Field(description="Node that failed.")
    error_type: str | None = Field(description="Type of the error.")
    number: int = Field(description="Number of runs.")
    error: str | None = Field(description="The message of one of them.")


class RunCountsView(BaseModel):
    """The number of runs that match a filter."""

    by_status: dict[str, int] = Field(description="Runs by status.")
    by_reason: dict[str, int] = Field(description="Runs by what they wait for.")
    by_workflow: dict[str, int] = Field(description="Runs by workflow ID.")
    failures: list[FailureGroupView] = Field(description="Failed runs that failed alike: the 20 largest groups.")


class ExplanationView(BaseModel):
    """What was decided in a run."""

    id: str = Field(description="Run ID.")
    status: Status = Field(description="Status of the run.")
    complete: bool = Field(description="False where a part of the record could not be read.")
    items: list[Explanation] = Field(description="In the order in which it was decided.")


StepId = Annotated[str | None, Field(min_length=1, max_length=MAX_STEP_ID, description="ID of the step.")]
NodeId = Annotated[
    str | None, Field(min_length=1, max_length=300, description="ID of the node, instead: of its one step that waits.")
]
Why = Annotated[
    str,
    Field(description="Shown in the run.", max_length=1000, pattern=TEXT, examples=["the supplier has answered"]),
]


def require_one_target(step_id: str | None, node_id: str | None) -> None:
    """Raise ValueError unless a request names a step or a node."""
    if (step_id is None) == (node_id is None):
        raise ValueError("name the step by `step_id`, or its node by `node_id`")


class PauseRequest(Model):
    """Why a run is paused or resumed."""

    reason: Why = ""


class ResolveRequest(Model):
    """How to resolve a step that is waiting for an operator."""

    step_id: StepId = None
    node_id: NodeId = None
    action: ResolutionAction = Field(description="What to do with the step.", examples=["retry"])
    parameters: dict[str, Any] | None = Field(
        None, description="With `retry`: parameters that replace those of the node; they may hold templates."
    )
    value: JsonValue = Field(None, description="With `fallback`: the output of the step.")
    target: str | None = Field(None, max_length=300, description="With `retry_from`: ID of the node to go back to.")
    reason: Why = ""

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        require_one_target(self.step_id, self.node_id)
        return self


class EndRequest(Model):
    """Why a run is cancelled or terminated."""

    reason: str = Field(
        "",
        description="Shown in the run as `cancel_reason`.",
        max_length=1000,
        pattern=TEXT,
        examples=["started by mistake"],
    )


class RerunRequest(Model):
    """From which step to run again, and what to change."""

    from_node: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        description="ID of the node to begin at. Default: where the run has stopped, or with `path` has stopped there.",
        examples=["greet"],
    )
    path: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="The iteration or branch that the node is in, as the steps of the run have it.",
        examples=["each[7]"],
    )
    failed_items: bool = Field(
        False,
        description="Only run failed items again of loops that continued past them: of the loop `from_node`, or all.",
    )
    version: PublishedVersion | None = Field(
        None, description="Another published version of the workflow. Default: the same version."
    )
    input: JsonValue = Field(None, description="Another input. Default: the same input.")
    variables: dict[str, JsonValue] = Field(
        {}, description="Variables to set before the node runs.", examples=[{"text": "Good morning"}]
    )
    dry_run: bool = Field(False, description="Return the plan without starting a run.")


class RerunCounts(BaseModel):
    """Number of steps of a node, or of an iteration or branch, by what becomes of them."""

    name: str = Field(description="ID of the node, or path of the iteration or branch.")
    reused: int = Field(description="Number of steps that stay done.")
    again: int = Field(description="Number of steps that run again.")
    continued: int = Field(description="Number of steps in progress that continue.")
    kept_keys: int = Field(description="Number of those that run again with the idempotency key that they had.")
    undone: int = Field(description="Number of those that run again because they were compensated.")


class RerunView(BaseModel):
    """The plan of a rerun. Steps are listed as far as the old run recorded them."""

    from_node: str = Field(description="ID of the first node that runs.")
    begins_at: list[str] = Field(description="IDs of the steps that run first, one for each path in progress.")
    version: int = Field(description="Version of the new run.")
    reused: list[str] = Field(description="IDs of the steps that stay done: their results are reused.")
    again: list[str] = Field(description="IDs of the steps that run again.")
    continued: list[str] = Field(
        description="IDs of the steps in progress that continue: loops and parallels around those, delays and waits."
    )
    kept_keys: list[str] = Field(
        description="IDs of the steps that run again with the idempotency key that they had: their outcome is unknown."
    )
    undone: list[str] = Field(description="IDs of the steps that run again because they were compensated.")
    nodes: list[RerunCounts] = Field(description="The same by node.")
    iterations: list[RerunCounts] = Field(description="The same by iteration and branch.")


def rerun_view(plan: RerunPlan) -> RerunView:
    """Return what a rerun would do."""
    begins_at = plan.rerun.begins_at
    return RerunView(
        from_node=plan.from_node,
        begins_at=begins_at,
        version=plan.rerun.plan.version,
        **plan.steps,
        nodes=[_rerun_counts(each) for each in plan.by_node],
        iterations=[_rerun_counts(each) for each in plan.by_path],
    )


def _rerun_counts(counts: StepCounts) -> RerunCounts:
    names = [name for name in RerunCounts.model_fields if name != "name"]
    return RerunCounts(name=counts.name, **{name: counts.counts[name] for name in names})


class ResolvedStep(BaseModel):
    """The step that was resolved."""

    step_id: str = Field(description="ID of the step.")
