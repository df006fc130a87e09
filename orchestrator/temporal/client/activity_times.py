"""Read from histories how long the activities of a node have taken."""

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.temporal.client.open_runs import find_node

MAX_EVENTS = 2_000
"""Events of a run that are read: a sample is enough."""


async def read_activity_seconds(client: Client, run_id: str, node_id: str) -> list[float]:
    """Return how long each completed activity of a node took in a run, from when a worker took it."""
    seconds: list[float] = []
    scheduled: set[int] = set()
    started: dict[int, float] = {}
    count = 0
    try:
        async for event in client.get_workflow_handle(run_id).fetch_history_events():
            count += 1
            at = event.event_time.ToNanoseconds() / 1e9
            match event.event_type:
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    if find_node(event.activity_task_scheduled_event_attributes.activity_id) == node_id:
                        scheduled.add(event.event_id)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    started[event.activity_task_started_event_attributes.scheduled_event_id] = at
                case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                    origin = event.activity_task_completed_event_attributes.scheduled_event_id
                    if origin in scheduled and origin in started:
                        seconds.append(at - started[origin])
            if count == MAX_EVENTS:
                break
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # deleted meanwhile
            raise
    return seconds
