"""An action that is known by its description only: a worker elsewhere, in any language, serves it."""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from orchestrator.model.plan import MAX_DELAY_SECONDS


class DescribedAction(BaseModel):
    """The name, parameters and defaults of an action, as `orchestrator schema --actions` writes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    parameter_schema: dict[str, Any] = Field({}, alias="parameters")
    """JSON Schema of the parameters."""
    result: dict[str, Any] | None = None
    """JSON Schema of the result."""
    retry: dict[str, Any] | None = None
    timeout_seconds: float | None = Field(None, gt=0, le=MAX_DELAY_SECONDS)
    heartbeat_seconds: float | None = Field(None, gt=0, le=MAX_DELAY_SECONDS)
    execution: Literal["activity", "local"] = "activity"

    @property
    def parameters(self) -> Any:
        """Return a model that accepts any parameters: only the planner checks them, by their schema."""
        return create_any_parameters()

    def describe(self) -> dict[str, Any]:
        """Return the description of the action, like that of a registered one."""
        return self.model_dump(by_alias=True)


@cache
def create_any_parameters() -> Any:
    """Return a model that accepts any parameters."""
    return create_model("AnyParameters", __config__=ConfigDict(extra="allow"))
