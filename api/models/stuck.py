"""Response of the route that says what is stuck."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class StuckQueueView(BaseModel):
    """A task queue in which tasks wait and that no worker polls."""

    model_config = ConfigDict(from_attributes=True)

    queue: str = Field(description="Name of the task queue.")
    kind: str = Field(description="`workflow`: runs themselves wait; `activity`: actions do.")
    pollers: int = Field(description="Number of workers that poll it.")
    backlog: int = Field(description="Tasks that wait, about.")
    oldest_seconds: float = Field(description="How long the oldest has waited, about, in seconds.")


class StuckRunView(BaseModel):
    """A run that makes no progress, or less than usual."""

    model_config = ConfigDict(from_attributes=True)

    run_id: str = Field(description="Run ID.")
    workflow_id: str = Field(description="Workflow ID.")
    customer_id: str = Field(description="Customer ID.")
    node_id: str | None = Field(description="The node where it is.")
    message: str = Field(description="What is wrong, for people.")
    since: datetime = Field(description="Since when.")
    seconds: float = Field(description="For how long, in seconds.")
    usual_seconds: float | None = Field(description="How long it takes usually, in seconds, where that is known.")


class StuckView(BaseModel):
    """What is stuck."""

    model_config = ConfigDict(from_attributes=True)

    as_of: datetime = Field(description="When this was so.")
    queues: list[StuckQueueView] = Field(description="Task queues in which tasks wait and that no worker polls.")
    workflow_tasks: list[StuckRunView] = Field(description="Runs whose workflow task keeps failing, with the error.")
    activities: list[StuckRunView] = Field(description="Actions that run for far longer than they usually do.")
    runs: list[StuckRunView] = Field(description="Runs that are far older than runs of their workflow usually get.")
    complete: bool = Field(description="False where there was more to look at than one request may.")
