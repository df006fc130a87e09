"""The query parameters that select runs."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from api.fields import LINE, PLAIN, TEXT, IdPrefix, Since, Until, UtcTime
from orchestrator.errors import ErrorType
from orchestrator.model.run import Reason
from orchestrator.store.run_filter import RunFilter

RunStatus = Literal["pending", "running", "waiting", "retrying", "completed", "failed", "cancelled"]
TriggerType = Literal["manual", "schedule", "event", "webhook", "workflow"]
KEY = r"^[^=\x00-\x1f\x7f]+=[^\x00]*$"
MAX_KEYS = 8


def _make_filter(
    workflow_id: Annotated[str | None, Query(pattern=PLAIN, max_length=200, description="Workflow ID.")] = None,
    status: Annotated[
        list[RunStatus] | None,
        Query(
            max_length=7,
            description="Status; repeat it for several. A run that has not ended has one of the first four.",
        ),
    ] = None,
    reason: Annotated[
        Reason | None, Query(description="What the run waits for; `no_worker`: no worker takes the run or a step.")
    ] = None,
    node: Annotated[
        str | None, Query(pattern=LINE, max_length=300, description="Node where it waits, is tried again, or failed.")
    ] = None,
    error_type: Annotated[ErrorType | None, Query(description="Type of the error.")] = None,
    error: Annotated[
        str | None,
        Query(
            pattern=TEXT,
            min_length=1,
            max_length=200,
            description="Text in the message of the error; needs `workflow_id`, or at most 31 days from `since` on.",
        ),
    ] = None,
    trigger: Annotated[
        TriggerType | None, Query(description="What started the run; `workflow` is another run.")
    ] = None,
    parent: Annotated[
        str | None, Query(pattern=PLAIN, max_length=300, description="ID of the run that called it.")
    ] = None,
    rerun_of: Annotated[
        str | None, Query(pattern=PLAIN, max_length=300, description="ID of the run that it continues.")
    ] = None,
    rerun: Annotated[bool | None, Query(description="Whether a rerun of it has started.")] = None,
    key: Annotated[
        list[Annotated[str, Query(pattern=KEY, max_length=300)]] | None,
        Query(
            max_length=MAX_KEYS, description="A business key, `name=value`; repeat it for several, all of which apply."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    ended_since: Annotated[
        UtcTime | None, Query(description="Runs that ended at or after this time (RFC 3339).")
    ] = None,
    ended_until: Annotated[UtcTime | None, Query(description="Runs that ended before this time (RFC 3339).")] = None,
    id_prefix: IdPrefix = None,
) -> RunFilter:
    names = (each.partition("=") for each in key or ())
    return RunFilter(
        workflow_id=workflow_id,
        statuses=tuple(dict.fromkeys(status or ())),
        reason=reason,
        node_id=node,
        error_type=error_type,
        error=error,
        trigger_type=trigger,
        parent_run_id=parent,
        rerun_of=rerun_of,
        rerun=rerun,
        keys=tuple((name, value) for name, _, value in names),
        since=since,
        until=until,
        ended_since=ended_since,
        ended_until=ended_until,
        id_prefix=id_prefix,
    )


Filter = Annotated[RunFilter, Depends(_make_filter)]
