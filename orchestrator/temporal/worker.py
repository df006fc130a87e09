"""Wire a worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.registry import Registry
from activities.runtime import build_activities
from orchestrator.errors import SettingsError
from orchestrator.model.permissions import find_queue_problem
from orchestrator.settings import PREFIX, Settings
from orchestrator.temporal.client.connection import explain_core_error
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

STICKY_SECONDS = 2.0
"""How soon the runs of a dead worker go to another: in 3 s in all instead of 10 (docs/design.md)."""
HEARTBEAT_THROTTLE = timedelta(seconds=1)
"""A cancellation reaches an action with the answer to a heartbeat, which the SDK would else hold back for up to 80 % of
the heartbeat timeout: 8 s of 10. How often actions send one is decided in `activities/runtime.py`."""
EAGER_ACTIVITIES = 20
"""Activities that a workflow task may start on its own worker without a round trip to the server."""


@asynccontextmanager
async def run_worker(client: Client, settings: Settings, registry: Registry) -> AsyncIterator[Worker]:
    """Run a worker for the duration of the context; running actions then have `shutdown_seconds` to end.

    Raises SettingsError for a task queue that Temporal does not serve, and ServerUnavailable in the body where Temporal
    refuses the worker, which it does not retry.

    The sandbox costs 20 to 50 % of CPU and finds nothing that replay in tests does not, so only tests use it.
    """
    problem = find_queue_problem(settings.task_queue)
    if problem is not None:
        raise SettingsError(f"{PREFIX}TASK_QUEUE: {problem}")
    activities = build_activities(registry, settings)
    worker = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[RunWorkflow],
        activities=activities.activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=settings.max_concurrent_activities,
        max_concurrent_local_activities=settings.max_concurrent_activities,
        max_concurrent_workflow_tasks=settings.max_concurrent_workflow_tasks,
        max_cached_workflows=settings.max_cached_workflows,
        max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=STICKY_SECONDS),
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_seconds),
    )
    cancelled = False
    try:
        async with worker:
            try:
                yield worker
            except asyncio.CancelledError:
                cancelled = True
                raise
    except RuntimeError as error:  # the worker cancels the body and raises why
        if cancelled:
            raise explain_core_error("Temporal does not accept the worker", error) from error
        raise
    finally:
        await activities.aclose()
