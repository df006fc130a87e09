"""Read from the history of a run who cancelled or terminated it, and why.

Temporal records both with the request: the identity of the client, which is the name of the API key, and a reason.
"""

from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

NO_REASON = "terminated by user via frontend"
"""What Temporal records where a request to terminate has no reason."""
PAGE_SIZE = 200
MAX_PAGES = 50
"""Pages that are searched: what follows a request is the work of the compensations."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Who asked for the end of a run, and why; `None` where Temporal has not recorded it."""

    by: str | None = None
    reason: str | None = None

    def to_fields(self) -> dict[str, str | None]:
        """Return the fields of a run document or summary."""
        return {"cancelled_by": self.by, "cancel_reason": self.reason}


def parse_cancel_request(event: HistoryEvent) -> CancelRequest | None:
    """Return the request in a history event; `None` where the event is not one."""
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            requested = event.workflow_execution_cancel_requested_event_attributes
            # The caller of a called workflow passes its own cancellation on.
            caller = requested.external_workflow_execution.workflow_id
            return CancelRequest(f"run {caller}" if caller else requested.identity or None, requested.cause or None)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            terminated = event.workflow_execution_terminated_event_attributes
            # The service ends a run whose workflow task fails on behalf of an earlier request: it adds details.
            if not terminated.details.payloads:
                reason = terminated.reason if terminated.reason != NO_REASON else ""
                return CancelRequest(terminated.identity or None, reason or None)
    return None


def is_cancel_requested(described: WorkflowExecutionDescription, status: str) -> bool:
    """Return whether a run was asked to end; it may still be undoing its steps.

    Its document may be newer than its description.
    """
    return status == "cancelled" or (
        described.status == WorkflowExecutionStatus.RUNNING
        and described.raw_description.workflow_extended_info.cancel_requested
    )


async def find_cancel_request(client: Client, workflow_id: str, execution: str) -> CancelRequest:
    """Return the request that ended an execution, searched for from its end; raises RPCError."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=execution),
        maximum_page_size=PAGE_SIZE,
    )
    for _ in range(MAX_PAGES):
        try:
            page = await client.workflow_service.get_workflow_execution_history_reverse(request, retry=True)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # deleted meanwhile
                raise
            break
        for event in page.history.events:
            found = parse_cancel_request(event)
            if found is not None:
                return found
        if not page.next_page_token:
            break
        request.next_page_token = page.next_page_token
    return CancelRequest()
