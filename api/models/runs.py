"""Bodies of the routes about runs."""

from typing import Any

from pydantic import BaseModel, Field, JsonValue

from api.models.base import Model, PublishedVersion
from api.models.workflows import EXAMPLE
from orchestrator.model.run import ResolutionAction, RunSummary


class StartRequest(Model):
    """How to start a workflow."""

    input: JsonValue = Field(None, examples=[{"name": "Ada"}])
    version: PublishedVersion | None = Field(
        None, description="A published version; the newest, or else the draft, unless given."
    )


class AdHocRequest(Model):
    """A definition to run without keeping it."""

    definition: dict[str, Any] = Field(examples=[EXAMPLE])
    input: JsonValue = None


class RunStarted(BaseModel):
    """A run that goes on."""

    id: str
    workflow_id: str
    duplicate: bool = Field(False, description="It was started before, under the same key.")
    links: dict[str, str]


class RunView(RunSummary):
    """A run in a list."""


class ResolveRequest(Model):
    """An operator's word on a step that waits for one."""

    node_id: str = Field(min_length=1, max_length=300, description="The node, or the id of one of its steps.")
    action: ResolutionAction = Field(examples=["retry"])
    parameters: dict[str, Any] | None = Field(None, description="For `retry`: call the action with these.")
    value: JsonValue = Field(None, description="For `fallback`: the output.")
    target: str | None = Field(None, max_length=300, description="For `retry_from`: the node to go back to.")


class TerminateRequest(Model):
    """Why a run is ended."""

    reason: str = Field("", max_length=1000, pattern=r"^[^\x00]*$", examples=["started by mistake"])


class RerunRequest(Model):
    """Where a new run begins with what an ended one has, and what is to be other."""

    from_node: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        description="A node of the run's own scope; the one that failed, unless given.",
        examples=["greet"],
    )
    version: PublishedVersion | None = Field(
        None, description="Another published version of the workflow; the same, unless given."
    )
    input: JsonValue = Field(None, description="Another input; the same, unless given.")
    variables: dict[str, JsonValue] = Field(
        {}, description="Variables to set beforehand.", examples=[{"text": "Good morning"}]
    )
    dry_run: bool = Field(False, description="Say what would be done, and start nothing.")


class RerunView(BaseModel):
    """What a retry would do."""

    from_node: str
    version: int
    reused: list[str] = Field(description="Steps whose results are kept, as far as the record of the old run goes.")
    again: list[str] = Field(description="Steps that are done again.")


class ResolvedStep(BaseModel):
    """The step that goes on."""

    step_id: str
