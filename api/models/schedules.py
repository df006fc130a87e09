"""Bodies of the routes for schedules."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import UtcTime
from api.models.base import Model
from orchestrator.timing.cron import EPOCH


class ScheduleView(BaseModel):
    """The schedule of a workflow."""

    installed: bool = Field(
        description="Whether the schedule exists in Temporal. If not, `next_times` is computed from the definition."
    )
    paused: bool = Field(description="Whether the schedule is paused.")
    next_times: list[datetime] = Field(description="The next fire times.")


class BackfillRequest(Model):
    """The time range of a backfill."""

    start_at: UtcTime = Field(description="First fire time, inclusive (RFC 3339).", examples=["2026-01-01T00:00:00Z"])
    end_at: UtcTime = Field(description="Last fire time, inclusive (RFC 3339).", examples=["2026-01-02T00:00:00Z"])

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end_at < self.start_at:
            raise PydanticCustomError("bad_span", "`end_at` is before `start_at`")
        if self.start_at < EPOCH:
            raise PydanticCustomError("bad_span", f"`start_at` is before {EPOCH.year}")
        return self


class BackfillResult(BaseModel):
    """The number of starts in a backfill."""

    runs: int = Field(description="The runs that were started.")
