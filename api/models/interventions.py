"""Bodies of the routes that repair a run in progress, and move it to another version."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, JsonValue, RootModel, model_validator

from api.models.base import Model, PublishedVersion
from api.models.runs import MAX_STEP_ID, NodeId, StepId, Why, require_one_target
from orchestrator.interpreter.moved_frames import NodeOutcome, NodeState
from orchestrator.temporal.history.migration_preview import MigrationPreview

Path = Annotated[
    str | None,
    Field(
        max_length=MAX_STEP_ID,
        description="The iteration or branch that is meant, such as `each[7]`; by default the run itself.",
        examples=["each[7]"],
    ),
]


class SetVariables(Model):
    """Set variables. Iterations and branches that run beside the run and have begun do not see them."""

    kind: Literal["set_variables"]
    variables: dict[str, JsonValue] = Field(min_length=1, description="New values.", examples=[{"rate": 1.1}])
    path: Path = None
    reason: Why = ""


class StepRepair(Model):
    """A step, or a node."""

    step_id: StepId = None
    node_id: NodeId = None
    path: Path = None
    reason: Why = ""

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        require_one_target(self.step_id, self.node_id)
        if self.path is not None and self.node_id is None:
            raise ValueError("`path` goes with `node_id`; a `step_id` begins with its path")
        return self


class SetParameters(StepRepair):
    """Change parameters of an action, for this run."""

    kind: Literal["set_parameters"]
    parameters: dict[str, JsonValue] = Field(
        min_length=1,
        description="Parameters that replace those of the node; they may hold templates.",
        examples=[{"url": "https://new.example/orders/{{ input.id }}"}],
    )


class SetResult(StepRepair):
    """Give a step its result, or a node that has not begun."""

    kind: Literal["set_result"]
    result: JsonValue = Field(description="Output of the step.", examples=[{"id": "ch_1"}])


class SkipNode(StepRepair):
    """Skip a step, or a node that has not begun: it is `skipped`, and left by the port `next`."""

    kind: Literal["skip_node"]


class SkipWait(StepRepair):
    """End a delay now, or a wait as if its timeout had passed."""

    kind: Literal["skip_wait"]


class RetryNow(StepRepair):
    """Make the next attempt of an action now, or try a step again that waits for an operator."""

    kind: Literal["retry_now"]


class InterventionRequest(
    RootModel[
        Annotated[
            SetVariables | SetParameters | SetResult | SkipNode | SkipWait | RetryNow, Field(discriminator="kind")
        ]
    ]
):
    """What to change in a run that is paused or waits."""


MAX_RENAMED = 1_000
NodeName = Annotated[str, Field(min_length=1, max_length=300)]


class MigrateRequest(Model):
    """To which version a run moves."""

    version: PublishedVersion = Field(description="Published version of the workflow to move to.", examples=[2])
    map: dict[NodeName, NodeName] = Field(
        {},
        max_length=MAX_RENAMED,
        description="New IDs of nodes that have another one in that version, by the IDs that the run knows.",
        examples=[{"greet": "welcome"}],
    )
    reason: Why = ""
    dry_run: bool = Field(False, description="Return what would become of each node, without moving the run.")


class MovedNodeView(BaseModel):
    """What becomes of a node that the run has done, is in, comes to next, or on which an operator has decided."""

    node_id: str = Field(description="Node ID; of what comes next, that in the version to move to.")
    path: str = Field(description="The iteration or branch that it is in, such as `each[7]`; empty for the run itself.")
    state: NodeState = Field(description="Where the run is with it.")
    outcome: NodeOutcome = Field(
        description="`kept`, `dropped` (that version has no such node: its result, or the decision, is forgotten), or"
        " `refused`."
    )
    to: str | None = Field(description="Its ID in the version to move to; null where it has none there.")
    reason: str = Field(description="Why it is refused, or why a decision is dropped.")


class MigrationView(BaseModel):
    """What a move to another version would do to a run as it is now."""

    fits: bool = Field(description="Whether the run would move.")
    from_version: int = Field(description="The version that the run is of.")
    version: int = Field(description="The version to move to.")
    problems: list[str] = Field(description="Why it would be refused.")
    nodes: list[MovedNodeView] = Field(description="What becomes of each node that the run has come to.")


def make_migration_view(preview: MigrationPreview) -> MigrationView:
    """Return the view of a move that was looked at."""
    nodes = [MovedNodeView.model_validate(node, from_attributes=True) for node in preview.nodes]
    return MigrationView(
        fits=not preview.problems,
        from_version=preview.from_version,
        version=preview.version,
        problems=preview.problems,
        nodes=nodes,
    )
