"""List runs by Temporal's visibility store."""

from datetime import UTC, datetime

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import DataConverter, decode_typed_search_attributes

from orchestrator.model.run import RunSummary, Status, count_milliseconds
from orchestrator.temporal.search_attributes import CUSTOMER_ID, FIRST_STARTED_AT, TRIGGER, VERSION, WORKFLOW_ID

PAGE_SIZE = 1000
"""Entries of a list that Temporal sends at once."""


RERUN_OF = "retried_from"
"""Memo of a retry, so that lists know it: the run it retries."""


STATUSES: dict[WorkflowExecutionStatus, Status] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "cancelled",
}


TEMPORAL_STATUSES = {
    "running": ("Running",),
    "waiting": ("Running",),
    "retrying": ("Running",),
    "completed": ("Completed",),
    "failed": ("Failed", "TimedOut"),
    "cancelled": ("Canceled", "Terminated"),
}
"""What Temporal calls them."""


def quote_literal(value: str) -> str:
    """Write text for a query to Temporal's visibility."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def parse_summary(info: WorkflowExecutionInfo, converter: DataConverter) -> RunSummary:
    """Return a run's summary from what Temporal lists."""
    attributes = decode_typed_search_attributes(info.search_attributes)
    memo = {name: (await converter.decode([payload]))[0] for name, payload in info.memo.fields.items()}
    status = STATUSES[WorkflowExecutionStatus(info.status)] if info.status else "running"
    # Temporal tells the start of the last execution.
    started_at = (
        datetime.fromisoformat(memo[FIRST_STARTED_AT]) if FIRST_STARTED_AT in memo else info.start_time.ToDatetime(UTC)
    )
    completed_at = info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None
    return RunSummary(
        id=info.execution.workflow_id,
        workflow_id=attributes.get(WORKFLOW_ID, ""),
        workflow_version=attributes.get(VERSION, 0),
        customer_id=attributes.get(CUSTOMER_ID, ""),
        status=status,
        trigger_type=attributes.get(TRIGGER, "manual"),
        started_at=started_at,
        completed_at=completed_at,
        duration_ms=count_milliseconds(started_at, completed_at),
        retried_from=memo.get(RERUN_OF),
    )
