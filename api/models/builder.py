"""Bodies of the routes for a workflow builder."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.models.base import Model


class ActionView(BaseModel):
    """An action that nodes can call."""

    name: str = Field(description="Name of the action.")
    description: str = Field(description="What the action does.")
    parameters: dict[str, Any] = Field(description="JSON Schema of the parameters.")
    result: dict[str, Any] | None = Field(description="JSON Schema of the result, if declared.")
    retry: dict[str, Any] | None = Field(description="Default retry policy.")
    timeout_seconds: float | None = Field(description="Default timeout of one attempt, in seconds.")
    heartbeat_seconds: float | None = Field(description="Heartbeat timeout, in seconds.")
    execution: Literal["activity", "local"] = Field(description="As a Temporal activity or a local activity.")


class FunctionView(BaseModel):
    """A function, a pipe or an operator of the expression language."""

    name: str = Field(description="Name of the function or pipe.")
    kind: Literal["function", "pipe", "operator"] = Field(description="Whether it is a function or a pipe.")
    signature: str = Field(description="How it is called.")
    description: str = Field(description="What it does.")
    example: str = Field(description="An expression that uses it.")


class OperatorView(BaseModel):
    """A condition operator."""

    value: str = Field(description="The operator, as in `operator` of a condition.")
    label: str = Field(description="Its name for people.")
    takes: str = Field(description="Kind of value it takes; `none` for no value.")


class PresetView(BaseModel):
    """A predefined condition."""

    id: str = Field(description="ID of the preset, as in `preset` of a condition.")
    name: str = Field(description="Its name for people.")
    description: str = Field(description="When it holds.")
    subject: str = Field(description="The variable that it reads.")
    condition: dict[str, Any] = Field(description="Condition that the preset uses.")


class TemplateTrial(Model):
    """A template, or any JSON value that contains templates."""

    template: Any = Field(
        examples=["Dear {{ customer.name | title }}"], description="Text, or a JSON value, with templates."
    )
    context: dict[str, Any] | None = Field(None, description="Data to look the paths up in.")


class VariablesView(BaseModel):
    """The paths that a template reads."""

    variables: list[str] = Field(description="Paths without pipes and functions, each once, in order.")
    missing: list[str] = Field(description="Those that are null or missing in the context; secrets are left out.")


class ConditionTrial(Model):
    """A condition and the data to evaluate it on."""

    condition: dict[str, Any] = Field(
        examples=[{"field": "total", "operator": "greater_than", "value": 100}], description="The condition."
    )
    context: dict[str, Any] = Field({}, examples=[{"total": 250}], description="The data that it reads.")


class ConditionResult(BaseModel):
    """The result of a condition."""

    result: bool = Field(description="Whether the condition holds.")
    decision: dict[str, Any] = Field(description="The comparisons and the values that were compared, at most 1 kB.")
    warnings: list[str] = Field(description="What could not be compared, and why.")
