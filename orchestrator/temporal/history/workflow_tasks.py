"""Split the history of one execution into workflow tasks, as its worker saw them. No I/O.

event                     belongs to
1 WorkflowExecutionStarted     arrivals of the first task
2 WorkflowTaskScheduled
3 WorkflowTaskStarted          the first task: its time, and the length of the history that the worker was told
4 WorkflowTaskCompleted
5 TimerStarted                 commands of the first task
6 ActivityTaskScheduled        the same
7 ActivityTaskStarted
8 ActivityTaskCompleted        arrivals of the second task
9 WorkflowTaskScheduled        no task yet: it has not been completed
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

COMMAND_TYPES = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)
"""Events that the commands of a completed task leave; all others come from outside."""


@dataclass(slots=True)
class WorkflowTask:
    """A workflow task that a worker has completed."""

    started: HistoryEvent
    completed: HistoryEvent
    arrivals: list[HistoryEvent]
    """What the worker was told of."""
    commands: list[HistoryEvent] = field(default_factory=list)
    """What it decided."""


def iterate_tasks(events: Sequence[HistoryEvent]) -> Iterator[WorkflowTask]:
    """Yield the completed tasks in order; events after the last one have reached no worker yet."""
    arrivals: list[HistoryEvent] = []
    started: HistoryEvent | None = None
    task: WorkflowTask | None = None
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED | EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
                continue
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                arrivals.append(event)  # a reset gives the workflow another seed
            case EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
                started = event
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED if started is not None:
                if task is not None:
                    yield task
                task, arrivals = WorkflowTask(started, event, arrivals), []
            case kind if kind in COMMAND_TYPES and task is not None:
                task.commands.append(event)
            case _:
                arrivals.append(event)
    if task is not None:
        yield task
