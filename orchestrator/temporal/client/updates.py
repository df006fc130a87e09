"""Send an update to a workflow: its worker accepts or refuses it, within seconds or never."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused, ServerUnavailable
from orchestrator.model.run import format_timestamp
from orchestrator.temporal.client.run_tree import no_worker_error
from orchestrator.temporal.workflow.operators import EXPIRED

UPDATE_SECONDS = 4.5
"""How long to wait for a worker's answer."""
TAKEN_SECONDS = 3.5
"""How long a worker may take an update. The server hands out one that nobody waits for any longer; it is refused then.
What is left is for the answer, and for clocks that differ."""
SENDS = 20
AGAIN_SECONDS = 0.1
"""How often an update whose workflow task fails is sent, and how long to wait before it is sent again."""


async def execute_update(handle: WorkflowHandle[Any, Any], name: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an update answers.

    Raises OperationRefused with the reason of its validator, and ServerUnavailable where no worker takes it in time:
    then nothing has been done, and nothing will be.
    """
    expires_at = format_timestamp(datetime.now(UTC) + timedelta(seconds=TAKEN_SECONDS))
    try:
        async with asyncio.timeout(UPDATE_SECONDS):
            return await _send(handle, name, {**message, "expires_at": expires_at})
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # the SDK makes the same error of a cancellation
            raise asyncio.CancelledError from error
        raise no_worker_error() from error
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == EXPIRED:
            raise no_worker_error() from error
        raise OperationRefused(cause.message if isinstance(cause, ApplicationError) else str(cause)) from error


async def _send(handle: WorkflowHandle[Any, Any], name: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Send an update until its workflow task succeeds: one that fails, fails the update that came with it.

    That is no fault: the server refuses to end an execution for which a signal has just arrived.
    """
    update_id = str(uuid4())
    for _ in range(SENDS):
        try:
            answer: dict[str, Any] = await handle.execute_update(name, message, id=update_id)
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return answer
    raise ServerUnavailable("the workflow task of the run fails", hint="`orchestrator runs stuck` tells why")
