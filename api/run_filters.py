"""The fields that select runs: parameters of `GET /runs`, and the filter of an operation on many."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from api.fields import BUSINESS_KEY, LINE, PLAIN, TEXT, IdPrefix, Since, Until, UtcTime
from orchestrator.errors import ErrorType
from orchestrator.model.run import Reason
from orchestrator.store.run_filter import RunFilter

RunStatus = Literal["pending", "running", "waiting", "retrying", "completed", "failed", "cancelled"]
TriggerType = Literal["manual", "schedule", "event", "webhook", "workflow"]
MAX_KEYS = 8


class RunSelection(BaseModel):
    """Which runs: all fields that are given apply."""

    workflow_id: str | None = Field(None, pattern=PLAIN, max_length=200, description="Workflow ID.")
    status: list[RunStatus] = Field(
        [],
        max_length=7,
        description="Statuses, of which a run has one. A run that has not ended has one of the first four.",
    )
    reason: Reason | None = Field(
        None, description="What the run waits for; `no_worker`: no worker takes the run or a step."
    )
    node: str | None = Field(
        None, pattern=LINE, max_length=300, description="Node where it waits, is tried again, or failed."
    )
    error_type: ErrorType | None = Field(None, description="Type of the error.")
    error: str | None = Field(
        None,
        pattern=TEXT,
        min_length=1,
        max_length=200,
        description="Text in the message of the error; needs `workflow_id`, or at most 31 days from `since` on.",
    )
    trigger: TriggerType | None = Field(None, description="What started the run; `workflow` is another run.")
    parent: str | None = Field(None, pattern=PLAIN, max_length=300, description="ID of the run that called it.")
    rerun_of: str | None = Field(None, pattern=PLAIN, max_length=300, description="ID of the run that it continues.")
    rerun: bool | None = Field(None, description="Whether a rerun of it has started.")
    key: list[Annotated[str, Field(pattern=BUSINESS_KEY, max_length=300)]] = Field(
        [], max_length=MAX_KEYS, description="Business keys, `name=value`, all of which it has."
    )
    since: Since = None
    until: Until = None
    ended_since: UtcTime | None = Field(None, description="Runs that ended at or after this time (RFC 3339).")
    ended_until: UtcTime | None = Field(None, description="Runs that ended before this time (RFC 3339).")
    id_prefix: IdPrefix = None

    def make_filter(self) -> RunFilter:
        """Return the filter of the store."""
        names = (each.partition("=") for each in self.key)
        return RunFilter(
            workflow_id=self.workflow_id,
            statuses=tuple(dict.fromkeys(self.status)),
            reason=self.reason,
            node_id=self.node,
            error_type=self.error_type,
            error=self.error,
            trigger_type=self.trigger,
            parent_run_id=self.parent,
            rerun_of=self.rerun_of,
            rerun=self.rerun,
            keys=tuple((name, value) for name, _, value in names),
            since=self.since,
            until=self.until,
            ended_since=self.ended_since,
            ended_until=self.ended_until,
            id_prefix=self.id_prefix,
        )


def _make_filter(selection: Annotated[RunSelection, Query()]) -> RunFilter:
    return selection.make_filter()


Filter = Annotated[RunFilter, Depends(_make_filter)]
