"""The forecast of a run, as programs and people read it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.forecast.sizes import Sizes

ChildKind = Literal["run", "branch", "batch", "workflow"]
"""What a flow is; all but the first are child workflows."""


class Amounts(BaseModel):
    """What a part of a run adds to histories."""

    model_config = ConfigDict(frozen=True)

    events: int = Field(description="Events, those of workflow tasks included.")
    bytes: int = Field(description="Bytes of history.")
    tasks: float = Field(description="Workflow tasks; where several paths run at a time, the expected number.")


class NodeForecast(Amounts):
    """What a node adds."""

    node_id: str = Field(description="ID of the node.")
    path: str = Field(description="The child workflow that it runs in; empty for the run itself.")
    steps: int = Field(description="How many times it runs.")
    is_fused: bool = Field(description="Whether it runs in one local activity with the nodes around it.")


class ItemForecast(Amounts):
    """What one more iteration of a loop adds, child workflows included."""

    node_id: str = Field(description="ID of the loop.")
    iterations: int = Field(description="Number of iterations that the forecast is for.")
    is_assumed: bool = Field(description="Whether the number of items was neither given nor written in the definition.")


class FlowForecast(Amounts):
    """The history of the run itself, or of child workflows."""

    path: str = Field(description="The nodes that start it, such as `fan[0]`; empty for the run itself.")
    kind: ChildKind = Field(description="`run`; `branch` of a parallel; `batch` of a wide loop; called `workflow`.")
    count: int = Field(description="Number of workflows of this path; the amounts are those of all of them.")
    fewest_tasks: int = Field(description="Workflow tasks where as much as possible ends at the same time.")
    most_tasks: int = Field(description="Workflow tasks where everything ends by itself.")
    executions: int = Field(description="Number of executions of all of them: more than `count` where they continue.")
    continues_in: list[str] = Field(description="IDs of nodes in which it continues as new, in the order of the flow.")


class IgnoredSize(BaseModel):
    """A size that the forecast does not use."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="The field of the sizes: `items`, `times`, `results` or `seconds`.")
    node_id: str = Field(description="The ID in it.")
    message: str = Field(description="Why it is ignored, and what was likely meant.")


class Forecast(Amounts):
    """What a run is expected to write, child workflows included."""

    steps: int = Field(description="Steps.")
    fewest_tasks: int = Field(description="Workflow tasks where as much as possible ends at the same time.")
    most_tasks: int = Field(description="Workflow tasks where everything ends by itself.")
    flows: list[FlowForecast] = Field(description="The run itself, then its child workflows.")
    nodes: list[NodeForecast] = Field(description="What each node adds, without what runs in child workflows of it.")
    items: list[ItemForecast] = Field(description="What one more iteration of each loop adds.")
    sizes: Sizes = Field(description="What the forecast is for; what is not named has the defaults.")
    ignored: list[IgnoredSize] = Field(description="Sizes that no node has.")
