"""Bodies of the routes for a workflow builder."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.models.base import Model


class ActionView(BaseModel):
    """An action that nodes can call."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(description="JSON Schema of the parameters.")
    result: dict[str, Any] | None = Field(description="JSON Schema of the result, if declared.")
    retry: dict[str, Any] | None = Field(description="Default retry policy.")
    timeout_seconds: float | None = Field(description="Default timeout of one attempt, in seconds.")
    heartbeat_seconds: float | None = Field(description="Heartbeat timeout, in seconds.")
    execution: Literal["activity", "local"] = Field(description="As a Temporal activity or a local activity.")


class FunctionView(BaseModel):
    """A function, a pipe or an operator of the expression language."""

    name: str
    kind: Literal["function", "pipe", "operator"]
    signature: str
    description: str
    example: str


class OperatorView(BaseModel):
    """A condition operator."""

    value: str
    label: str
    takes: str = Field(description="Kind of value it takes; `none` for no value.")


class PresetView(BaseModel):
    """A predefined condition."""

    id: str
    name: str
    description: str
    subject: str
    condition: dict[str, Any]


class TemplateTrial(Model):
    """A template, or any JSON value that contains templates."""

    template: Any = Field(examples=["Dear {{ customer.name | title }}"])
    context: dict[str, Any] | None = Field(None, description="Data to look the paths up in.")


class VariablesView(BaseModel):
    """The paths that a template reads."""

    variables: list[str] = Field(description="Paths without pipes and functions, each once, in order.")
    missing: list[str] = Field(description="Those that are null or missing in the context; secrets are left out.")


class ConditionTrial(Model):
    """A condition and the data to evaluate it on."""

    condition: dict[str, Any] = Field(examples=[{"field": "total", "operator": "greater_than", "value": 100}])
    context: dict[str, Any] = Field({}, examples=[{"total": 250}])


class ConditionResult(BaseModel):
    """The result of a condition."""

    result: bool
    decision: dict[str, Any] = Field(description="The comparisons and the values that were compared, at most 1 kB.")
    warnings: list[str]
