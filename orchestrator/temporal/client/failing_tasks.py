"""Find out whether a run's workflow task fails: Temporal retries it for ever, and the run makes no progress."""

from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from orchestrator.jsontools.text import shorten

MAX_MESSAGE = 300
NEWEST_EVENTS = 10
"""Only the first failure of a task is an event, and nothing but signals comes after it."""


async def describe_failing_task(client: Client, described: WorkflowExecutionDescription) -> dict[str, Any] | None:
    """Return an entry of `waiting_for` where the workflow task of a running execution fails."""
    attempt = described.raw_description.pending_workflow_task.attempt
    if described.status != WorkflowExecutionStatus.RUNNING or attempt < 2:
        return None
    cause = await _read_cause(client, described)
    message = f"its workflow task fails and is tried again (attempt {attempt}): {cause}"
    return {"node_id": None, "step_id": None, "kind": "workflow_task", "message": shorten(message, MAX_MESSAGE)}


async def _read_cause(client: Client, described: WorkflowExecutionDescription) -> str:
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=described.id, run_id=described.run_id),
        maximum_page_size=NEWEST_EVENTS,
    )
    response = await client.workflow_service.get_workflow_execution_history_reverse(request)
    for event in response.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            return event.workflow_task_failed_event_attributes.failure.message
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            return "it timed out: the worker that took it is gone or blocked"
    return "see the log of the worker"
