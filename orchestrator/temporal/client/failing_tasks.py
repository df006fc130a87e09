"""Find runs whose workflow task fails: Temporal retries it for ever, and the run makes no progress.

Such a run cannot act on a cancellation or on its own time limit, because only its workflow code could. What is left is
to terminate it from outside, which calls no compensation.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from orchestrator.jsontools.text import shorten
from orchestrator.model.run import ErrorDocument
from orchestrator.temporal.requests import read_request
from orchestrator.temporal.search_attributes import WORKFLOW_ID

MAX_MESSAGE = 300
FAILING_ATTEMPT = 2
NEWEST_EVENTS = 10
"""Only the first failure of a task is an event, and nothing but signals comes after it."""


MAX_FAILING = 1_000
"""Executions that are looked at in one go."""
FAILING = f"{WORKFLOW_ID.name} IS NOT NULL AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL"
"""Temporal sets the attribute after some failures in a row, and removes it once a task completes."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a run, or of one of its branches."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class ReasonToEnd:
    """Why a failing execution has to end."""

    error: ErrorDocument
    attempt: int
    """Number of the pending attempt at its workflow task: it grows only where a worker fails the one before."""


async def list_failing(client: Client) -> list[Execution]:
    """Return the running executions, branches included, whose workflow task has failed repeatedly."""
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=MAX_FAILING, query=FAILING)
    response = await client.workflow_service.list_workflow_executions(request, retry=True)
    return [Execution(info.execution.workflow_id, info.execution.run_id) for info in response.executions]


async def read_deadline(client: Client, execution: Execution) -> datetime | None:
    """Return when `timeout_seconds` of a run are over, as the input of its execution says."""
    handle = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        values = await client.data_converter.decode(payloads)
        request = await asyncio.to_thread(read_request, values)
        return compute_deadline(request, event.event_time.ToDatetime(UTC))
    return None


def compute_deadline(request: Mapping[str, Any], execution_started: datetime) -> datetime | None:
    """Return when the time of a run is over, by its request; `None` where it has no limit, or none that is a time."""
    plan, state = request.get("plan"), request.get("state")
    limit = plan.get("timeout_seconds") if isinstance(plan, Mapping) else None
    if not isinstance(limit, int | float):
        return None
    started = state.get("started_at") if isinstance(state, Mapping) else None
    try:
        began = datetime.fromisoformat(started) if started else execution_started
        return began + timedelta(seconds=limit)
    except (OverflowError, TypeError, ValueError):
        return None


async def find_reason_to_end(client: Client, execution: Execution, deadline: datetime | None) -> ReasonToEnd | None:
    """Return why a failing execution has to end: it was cancelled, or its time is over; `None` where it need not."""
    handle = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
    described = await handle.describe()
    if not _is_failing(described):
        return None
    now = datetime.now(UTC)
    cancelled = described.raw_description.workflow_extended_info.cancel_requested
    if not cancelled and (deadline is None or now < deadline):
        return None
    why = "the run was cancelled" if cancelled else "the run took longer than its timeout_seconds"
    cause = shorten(await _read_cause(client, described), MAX_MESSAGE)
    error = ErrorDocument(
        message=f"{why} while its workflow task kept failing ({cause}); no compensation was called",
        error_type="cancelled" if cancelled else "timeout_error",
        details={"workflow_task": cause},
        recoverable=False,
        timestamp=now,
    )
    return ReasonToEnd(error, _get_attempt(described))


async def end_failing(client: Client, execution: Execution, error: ErrorDocument) -> None:
    """Terminate a failing execution; its document shows the error."""
    handle = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
    await handle.terminate(error.to_json(), reason=error.message)


def _is_failing(described: WorkflowExecutionDescription) -> bool:
    return described.status == WorkflowExecutionStatus.RUNNING and _get_attempt(described) >= FAILING_ATTEMPT


def _get_attempt(described: WorkflowExecutionDescription) -> int:
    return described.raw_description.pending_workflow_task.attempt


async def describe_failing_task(client: Client, described: WorkflowExecutionDescription) -> dict[str, Any] | None:
    """Return an entry of `waiting_for` where the workflow task of a running execution fails."""
    if not _is_failing(described):
        return None
    cause = await _read_cause(client, described)
    message = f"its workflow task fails and is tried again (attempt {_get_attempt(described)}): {cause}"
    return {"node_id": None, "step_id": None, "kind": "workflow_task", "message": shorten(message, MAX_MESSAGE)}


async def _read_cause(client: Client, described: WorkflowExecutionDescription) -> str:
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=described.id, run_id=described.run_id),
        maximum_page_size=NEWEST_EVENTS,
    )
    response = await client.workflow_service.get_workflow_execution_history_reverse(request, retry=True)
    for event in response.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            return event.workflow_task_failed_event_attributes.failure.message
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            return "it timed out: the worker that took it is gone or blocked"
    return "see the log of the worker"
