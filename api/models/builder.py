"""Bodies of the routes for a workflow builder."""

from typing import Any, Literal

from pydantic import BaseModel, Field


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
    """A function or a pipe of the expression language."""

    name: str
    kind: Literal["function", "pipe"]
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
