"""Wire a worker."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    FixedSizeSlotSupplier,
    Worker,
    WorkerDeploymentConfig,
    WorkerTuner,
)

from activities.registry import Registry
from activities.runtime import Activities, build_activities
from orchestrator.errors import SettingsError
from orchestrator.model.permissions import find_queue_problem
from orchestrator.settings import PREFIX, Settings
from orchestrator.temporal.client.connection import explain_core_error
from orchestrator.temporal.fair_executor import FairExecutor
from orchestrator.temporal.run_cache import MeasuringRunner, RunCache
from orchestrator.temporal.segments.activity import build_segment_activity
from orchestrator.temporal.task_slots import TaskSlots
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

STICKY_SECONDS = 2.0
"""How soon the runs of a dead worker go to another: in 3 s in all instead of 10 (docs/design.md)."""
HEARTBEAT_THROTTLE = timedelta(seconds=1)
"""A cancellation reaches an action with the answer to a heartbeat, which the SDK would else hold back for up to 80 % of
the heartbeat timeout: 8 s of 10. How often actions send one is decided in `activities/runtime.py`."""
EAGER_ACTIVITIES = 20
"""Activities that a workflow task may start on its own worker without a round trip to the server."""
DEADLOCK_SECONDS = 9.0
"""When a workflow task counts as stuck: shortly before Temporal throws it away, 10 s after it was sent. The SDK's 2 s
begin before the task has a thread, and up to `max_concurrent_workflow_tasks` of a customer wait for each other. Work
itself is bounded by what it costs (`language/costs.py`): 0.2 s, 0.3 s for one value."""
SWITCH_SECONDS = 0.0005
"""How long a thread keeps Python's lock while others wait for it, instead of 5 ms: a step needs the lock many times, in
several threads."""


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
    executor, cache = FairExecutor(), RunCache(settings.max_cached_bytes)
    sys.setswitchinterval(SWITCH_SECONDS)
    worker = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[RunWorkflow],
        activities=list_activities(registry, activities),
        workflow_runner=MeasuringRunner(cache),
        workflow_task_executor=executor,
        tuner=build_tuner(settings),
        max_cached_workflows=settings.max_cached_workflows,
        max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=STICKY_SECONDS),
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_seconds),
        deployment_config=build_deployment_config(settings.deployment),
    )
    set_deadlock_timeout(worker)
    cache.open(worker)
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
        executor.shutdown(wait=False)
        await activities.aclose()


def set_deadlock_timeout(worker: Worker) -> None:
    """Have a worker count a workflow task as stuck after `DEADLOCK_SECONDS`."""
    # The SDK has no public way to set this. Without the attribute no worker starts; it is None in the SDK's debug mode.
    workflow_worker: Any = worker._workflow_worker
    if workflow_worker._deadlock_timeout_seconds is not None:
        workflow_worker._deadlock_timeout_seconds = DEADLOCK_SECONDS


def build_deployment_config(deployment: str | None) -> WorkerDeploymentConfig | None:
    """Return the deployment and the build of a worker, from `name@build`.

    Runs go to a newer build with their next task: their definition is part of their input, and what the build does with
    it is checked by `replay --open`. Pinned to a build, a run that waits for months would keep its worker for as long.
    """
    if deployment is None:
        return None
    name, _, build = deployment.partition("@")
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(name, build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def list_activities(registry: Registry, activities: Activities) -> list[Any]:
    """Return what a worker serves: an activity for each action, and one that runs segments of them."""
    return [*activities.activities, build_segment_activity(registry, activities.resources).run]


def build_tuner(settings: Settings) -> WorkerTuner:
    """Return what limits the tasks that a worker takes at once."""
    actions = FixedSizeSlotSupplier(settings.max_concurrent_activities)
    return WorkerTuner.create_composite(
        workflow_supplier=TaskSlots(settings.max_concurrent_workflow_tasks, settings.max_concurrent_replays),
        activity_supplier=actions,
        local_activity_supplier=actions,
        nexus_supplier=FixedSizeSlotSupplier(1),
    )
