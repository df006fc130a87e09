"""Bodies of the routes for simulations and regressions."""

from typing import Any

from pydantic import ConfigDict, Field, JsonValue

from api.fields import MAX_VERSION
from api.models.base import Model, WholeNumber
from api.models.workflows import EXAMPLE
from orchestrator.errors import ErrorType
from orchestrator.simulator.regression import DEFAULT_LAST, MAX_LAST


class MockedError(Model):
    """How an action fails."""

    message: str = Field(max_length=10_000, description="Message of the error.")
    error_type: ErrorType = Field("action_error", description="Type of the error.")
    details: dict[str, JsonValue] = Field({}, description="Details of the error.")
    recoverable: bool = Field(True, description="Whether it may be tried again.")


class Mock(Model):
    """What an action answers: an output, or an error."""

    output: JsonValue = Field(None, description="Its result; templates see `params`, `attempt` and `node_id`.")
    error: MockedError | None = Field(None, description="Its error.")


class SimulatedEvent(Model):
    """An event that arrives during the run."""

    at: float = Field(0, ge=0, le=1e9, description="When it arrives, in seconds from the start.")
    name: str = Field(min_length=1, max_length=200, description="Name of the event.")
    payload: JsonValue = Field(None, description="Payload of the event.")


class SimulationRequest(Model):
    """A definition, and what the world answers to it."""

    definition: dict[str, Any] = Field(description="The definition; see `GET /schema`.", examples=[EXAMPLE])
    input: JsonValue = Field(None, description="Input of the run.", examples=[{"name": "Ada"}])
    actions: dict[str, Mock | list[Mock]] = Field(
        {},
        max_length=1000,
        description="Answers by action: one for all calls, or a list for one call after another. Others answer `{}`.",
        examples=[{"http.request": {"output": {"status": 200, "body": {}}}}],
    )
    events: list[SimulatedEvent] = Field([], max_length=1000, description="Events that arrive.")


class RegressionRequest(Model):
    """Which version of a workflow is judged, and by how many runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 0, "last": 200}]})

    version: WholeNumber = Field(
        0, ge=0, le=MAX_VERSION, description="Version that is judged. Default: 0, the working copy."
    )
    last: WholeNumber = Field(
        DEFAULT_LAST, ge=1, le=MAX_LAST, description="Number of runs by which it is judged, at most."
    )
