"""Describe task queues: what waits in them, and whether a worker polls them."""

from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

KINDS: dict[str, Any] = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


@dataclass(frozen=True, slots=True)
class QueueState:
    """One kind of tasks of a task queue."""

    queue: str
    kind: str
    """`workflow` or `activity`."""
    pollers: int
    backlog: int
    """Tasks that wait, about."""
    oldest_seconds: float
    """How long the oldest of them has waited, about."""


async def describe_queue_state(client: Client, queue: str, kind: str) -> QueueState:
    """Return what waits in a task queue, and the number of workers that poll it; raises RPCError."""
    response = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=KINDS[kind],
            report_stats=True,
        ),
        retry=True,
    )
    stats = response.stats
    age = stats.approximate_backlog_age.ToTimedelta().total_seconds()
    return QueueState(queue, kind, len(response.pollers), stats.approximate_backlog_count, age)
