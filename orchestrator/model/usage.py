"""What a run has used. No I/O."""

from pydantic import BaseModel, ConfigDict, Field


class Usage(BaseModel):
    """What runs have used: their own executions and those of their branches; a called workflow is a run of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    executions: int = Field(
        description="Workflow executions: of runs and branches, each time they continue as new too."
    )
    events: int = Field(description="Events in their histories.")
    bytes: int = Field(description="Size of their histories, as Temporal counts it.")
    steps: int = Field(description="Number of steps.")
    worker_seconds: float = Field(
        description="Time that workers spent on actions, in seconds: of each action the last attempt, as Temporal "
        "records the times of no other."
    )
    complete: bool = Field(description="False where histories were not all counted: more has been used then.")


class UsageSum(Usage):
    """What several runs have used."""

    runs: int = Field(description="Number of runs whose usage is counted.")
