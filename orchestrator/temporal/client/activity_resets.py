"""Make the next attempt of an action now: Temporal resets the activity, whose attempts count from 1 again."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.temporal.payloads import shorten_id


async def reset_activity(client: Client, workflow_id: str, step_id: str, *, by: str = "") -> None:
    """Make the next attempt of a step's action now; one that has just ended has made it by itself."""
    request = ResetActivityRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id),
        identity=by or client.identity,
        id=shorten_id(step_id),
    )
    # The run has recorded the request before, because it cannot take back what has been done.
    try:
        await client.workflow_service.reset_activity(request, retry=True)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
