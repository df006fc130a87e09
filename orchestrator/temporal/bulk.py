"""An operation on many runs as a workflow of its own: it survives any crash, keeps its pace, and can be stopped.

Its activities run in the service, which has the index of runs; workers of runs need no database.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.temporal.workflow_types import RESERVED_PREFIX

BULK = f"{RESERVED_PREFIX}bulk"
"""Name of the workflow type, and prefix of its activities."""
APPLY, FINISH = f"{BULK}.apply", f"{BULK}.finish"
BATCH_SECONDS = timedelta(minutes=5)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After a crash another worker takes the batch when this is over."""
HEARTBEAT_SECONDS = 1.0
"""A stop arrives with the answer to a heartbeat."""
SHUTDOWN_SECONDS = 5.0
"""How long a process that stops waits for the runs under way."""
RETRY = RetryPolicy(maximum_interval=timedelta(seconds=30))
MAX_BATCHES = 500
"""Batches until the workflow continues as new."""
IsStopped = Callable[[], bool]
Apply = Callable[[str, list[Any], IsStopped], Awaitable[list[Any] | None]]
"""Operates the runs after a position, until it is stopped; returns the next position, or `None` at the end."""
Finish = Callable[[str, bool], Awaitable[None]]


@workflow.defn(name=BULK)
class BulkWorkflow:
    """Runs one job, batch after batch."""

    def __init__(self) -> None:
        self.stopped = False

    @workflow.run
    async def run(self, job_id: str, batch_seconds: float, position: list[Any]) -> None:
        """Operate runs until none is left, or the job is stopped."""
        for _ in range(MAX_BATCHES):
            if self.stopped:
                break
            began = workflow.now()
            following = await self._apply(job_id, position)
            if following is None:
                break
            position = following
            left = batch_seconds - (workflow.now() - began).total_seconds()
            if left > 0:
                with contextlib.suppress(TimeoutError):
                    await workflow.wait_condition(lambda: self.stopped, timeout=left)
        else:
            if not self.stopped:
                workflow.continue_as_new(args=[job_id, batch_seconds, position])
        await workflow.execute_activity(
            FINISH, args=[job_id, self.stopped], start_to_close_timeout=BATCH_SECONDS, retry_policy=RETRY
        )

    async def _apply(self, job_id: str, position: list[Any]) -> list[Any] | None:
        """Operate one batch; return the next position, or `None` at the end and where the job is stopped."""
        batch: workflow.ActivityHandle[list[Any] | None] = workflow.start_activity(
            APPLY,
            args=[job_id, position],
            start_to_close_timeout=BATCH_SECONDS,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self.stopped or batch.done())
        if not batch.done():
            batch.cancel()
        try:
            return await batch
        except ActivityError:
            if not self.stopped:
                raise
            return None

    @workflow.signal
    def stop(self) -> None:
        """Stop after the runs that are under way."""
        self.stopped = True


class _Activities:
    """What the workflow calls."""

    def __init__(self, apply: Apply, finish: Finish) -> None:
        self._apply = apply
        self._finish = finish

    @activity.defn(name=APPLY)
    async def apply(self, job_id: str, position: list[Any]) -> list[Any] | None:
        """Operate the runs after a position; return the next position. A stop waits for those under way."""
        stopped = asyncio.Event()
        batch = asyncio.ensure_future(self._apply(job_id, position, stopped.is_set))
        beats = asyncio.create_task(_send_heartbeats())
        try:
            return await asyncio.shield(batch)
        except asyncio.CancelledError:
            stopped.set()
            if activity.is_worker_shutdown():
                # The batch is done again, without the runs that have an outcome: so those under way are to have one.
                await asyncio.wait([batch], timeout=SHUTDOWN_SECONDS)
                batch.cancel()
            await asyncio.gather(batch, return_exceptions=True)
            raise
        finally:
            beats.cancel()

    @activity.defn(name=FINISH)
    async def finish(self, job_id: str, stopped: bool) -> None:
        """Record the end of a job."""
        await self._finish(job_id, stopped)


async def _send_heartbeats() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_SECONDS)


def name_bulk_queue(task_queue: str) -> str:
    """Return the task queue of the jobs of a service."""
    return f"{task_queue}/bulk"


async def start_bulk(client: Client, queue: str, job_id: str, batch_seconds: float) -> None:
    """Start the workflow of a job, once."""
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            BULK,
            args=[job_id, batch_seconds, []],
            id=f"{BULK}/{job_id}",
            task_queue=queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )


async def stop_bulk(client: Client, job_id: str) -> None:
    """Stop a job after the runs that are under way; one that has ended stays as it is."""
    try:
        await client.get_workflow_handle(f"{BULK}/{job_id}").signal("stop")
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


@asynccontextmanager
async def run_bulk_worker(client: Client, queue: str, apply: Apply, finish: Finish) -> AsyncIterator[None]:
    """Run the workflows and the activities of jobs for the duration of the context."""
    activities = _Activities(apply, finish)
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[BulkWorkflow],
        activities=[activities.apply, activities.finish],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=4,
        max_concurrent_workflow_tasks=4,
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_SECONDS),
    )
    async with worker:
        try:
            yield
        finally:
            # The context waits for this once more, so that a cancellation in that moment leaves no worker behind.
            await worker.shutdown()
