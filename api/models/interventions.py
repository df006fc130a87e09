"""Bodies of the route that repairs a run in progress."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, RootModel, model_validator

from api.models.base import Model
from api.models.runs import MAX_STEP_ID, NodeId, StepId, Why, require_one_target

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
