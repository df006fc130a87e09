"""Run the interpreter over the recorded events of one execution, without a worker. No I/O.

The flow is told what its worker was told, task by task: the jobs of the events that had arrived, at the time of the
task, and what follows from its own commands. So it comes to the same state, and no action is called. Of the order of
jobs, Temporal's core has the rules (`core/src/worker/workflow/machines` of temporalio/sdk-core).
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, WorkflowCommand
from temporalio.common import MetricMeter, Priority, TypedSearchAttributes
from temporalio.converter import DefaultFailureConverter, DefaultPayloadConverter, decode_typed_search_attributes
from temporalio.worker import (
    ExecuteWorkflowInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
)

from orchestrator.temporal.history import activation_jobs as jobs
from orchestrator.temporal.history.random_seed import compute_random_seed
from orchestrator.temporal.history.stream_events import CLOSINGS, LOCAL_ACTIVITY, find_starting_event
from orchestrator.temporal.history.workflow_tasks import WorkflowTask, iterate_tasks
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

NAMESPACE = "recorded"
KEEP = "keep"
"""Name under which the interceptor finds where to put the workflow's object."""


CLOSING_COMMANDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "complete_workflow_execution",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "fail_workflow_execution",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancel_workflow_execution",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continue_as_new_workflow_execution",
}
"""The last event of an execution, and the command that leaves it."""


class HistoryMismatch(Exception):
    """The recorded events are not those that this flow would have left."""


class RecordedExecution:
    """One execution while it is read."""

    def __init__(
        self,
        workflow_id: str,
        events: Sequence[HistoryEvent],
        on_start: Callable[[RunWorkflow], None] = lambda _: None,
    ) -> None:
        """Open an execution; `on_start` is called with the workflow's object before its first node."""
        self.events = events
        self.run_workflow: RunWorkflow | None = None
        """The workflow's object, once it has started."""
        self._on_start = on_start
        self.read_to = 0
        """Id of the last event that has been read."""
        self.closing: WorkflowCommand | None = None
        """The command that ended the execution."""
        self._workflow_id = workflow_id
        self._instance = self._open(events[0])
        self._time_ns = 0
        self._flags: dict[int, None] = {}
        self._activities = _Operations()
        self._children = _Operations()
        self._signals = _Operations()
        self._timers: set[int] = set()
        self._local: set[int] = set()
        self._cancel_at_once: dict[int, tuple[str, str]] = {}
        """Activities whose cancellation is not awaited: their id and type, by sequence number."""

    def read(self) -> None:
        """Bring the flow to the end of the last task that its worker has completed; raises HistoryMismatch."""
        for task in iterate_tasks(self.events):
            self._read_task(task)
            self.read_to = max([task.completed.event_id, *(event.event_id for event in task.commands)])

    def close(self) -> None:
        """Discard the flow: its tasks are cancelled, as by a worker that evicts it."""
        evict = WorkflowActivationJob()
        evict.remove_from_cache.SetInParent()
        with contextlib.suppress(RuntimeError):
            self._instance.activate(WorkflowActivation(run_id=NAMESPACE, jobs=[evict], is_replaying=True))

    def _open(self, first: HistoryEvent) -> WorkflowInstance:
        details = _describe_instance(self._workflow_id, first, self._keep)

        async def create() -> WorkflowInstance:
            return UnsandboxedWorkflowRunner().create_instance(details)

        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(create())
        finally:
            loop.close()

    def _keep(self, run_workflow: RunWorkflow) -> None:
        self.run_workflow = run_workflow
        self._on_start(run_workflow)

    def _read_task(self, task: WorkflowTask) -> None:
        for flag in task.completed.workflow_task_completed_event_attributes.sdk_metadata.lang_used_flags:
            self._flags[flag] = None
        markers = deque(_iterate_local_markers(task.commands))
        self._set_time(task.started.event_time.ToNanoseconds())
        upcoming = list(self._list_jobs(task))
        while True:
            if upcoming:
                upcoming = self._activate(task, upcoming)
            elif self._local and markers:
                upcoming = self._take_markers(markers)
            else:
                break
        self._match_commands(task.commands)

    def _list_jobs(self, task: WorkflowTask) -> Iterator[WorkflowActivationJob]:
        for event in task.commands:
            marker = event.marker_recorded_event_attributes
            if marker.marker_name == jobs.PATCH:
                yield jobs.build_patch_job(marker)
        updates = deque(
            event for event in task.commands if event.HasField("workflow_execution_update_accepted_event_attributes")
        )
        for event in task.arrivals:
            while updates and _find_place(updates[0]) < event.event_id:
                yield jobs.build_update_job(updates.popleft())
            job = self._build_job(event)
            if job is not None:
                yield job
        yield from map(jobs.build_update_job, updates)

    def _build_job(self, event: HistoryEvent) -> WorkflowActivationJob | None:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                return jobs.build_start_job(self._workflow_id, event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                return jobs.build_signal_job(event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                return jobs.build_cancel_job(event)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                return jobs.build_seed_job(event)
            case EventType.EVENT_TYPE_TIMER_FIRED:
                return jobs.build_timer_job(int(event.timer_fired_event_attributes.timer_id))
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                started = event.child_workflow_execution_started_event_attributes
                seq = self._children.find(started.initiated_event_id)
                return None if seq is None else jobs.build_child_start_job(seq, event)
            case (
                EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED
                | EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
            ):
                return self._build_sent_signal_job(event)
        return self._build_ending_job(event)

    def _build_sent_signal_job(self, event: HistoryEvent) -> WorkflowActivationJob | None:
        failed = event.HasField("signal_external_workflow_execution_failed_event_attributes")
        initiated = (
            event.signal_external_workflow_execution_failed_event_attributes.initiated_event_id
            if failed
            else event.external_workflow_execution_signaled_event_attributes.initiated_event_id
        )
        seq = self._signals.close(initiated)
        return None if seq is None else jobs.build_sent_signal_job(seq, failed=failed)

    def _build_ending_job(self, event: HistoryEvent) -> WorkflowActivationJob | None:
        """Return the job of an activity or a child that has ended."""
        if event.event_type not in CLOSINGS:
            return None
        began = find_starting_event(event)
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
            seq = self._children.close(began)
            return None if seq is None else jobs.build_child_start_job(seq, event)
        if (seq := self._children.close(began)) is not None:
            return jobs.build_child_job(seq, event)
        if (seq := self._activities.close(began)) is not None:
            self._cancel_at_once.pop(seq, None)
            return jobs.build_activity_job(seq, self.events[began - 1], event)
        return None

    def _take_markers(self, markers: deque[tuple[Any, dict[str, Any]]]) -> list[WorkflowActivationJob]:
        """Return the jobs of the local activities that ended at the same time; the flow's clock moves to it."""
        resolved: list[WorkflowActivationJob] = []
        index = markers[0][1].get("activation_index")
        while markers and (not resolved or (index is not None and markers[0][1].get("activation_index") == index)):
            marker, details = markers.popleft()
            if details["seq"] not in self._local:
                raise HistoryMismatch(f"no local activity {details['seq']}")
            self._local.remove(details["seq"])
            if moment := details.get("complete_time"):
                self._set_time(moment["seconds"] * 1_000_000_000 + moment["nanos"])
            resolved.append(jobs.build_local_activity_job(marker, details))
        return resolved

    def _set_time(self, nanoseconds: int) -> None:
        self._time_ns = max(self._time_ns, nanoseconds)

    def _activate(self, task: WorkflowTask, upcoming: Sequence[WorkflowActivationJob]) -> list[WorkflowActivationJob]:
        """Let the flow run on; return the jobs that follow from its commands at once."""
        started = task.started.workflow_task_started_event_attributes
        activation = WorkflowActivation(
            run_id=NAMESPACE,
            is_replaying=True,
            history_length=task.started.event_id,
            history_size_bytes=started.history_size_bytes,
            continue_as_new_suggested=started.suggest_continue_as_new,
            available_internal_flags=list(self._flags),
            jobs=upcoming,
        )
        activation.timestamp.FromNanoseconds(self._time_ns)
        completion = self._instance.activate(activation)
        if completion.HasField("failed"):
            raise HistoryMismatch(completion.failed.failure.message)
        return [job for command in completion.successful.commands if (job := self._note(command)) is not None]

    def _note(self, command: WorkflowCommand) -> WorkflowActivationJob | None:
        """Remember what a command has begun; return what it ends at once."""
        match command.WhichOneof("variant"):
            case "schedule_activity":
                activity = command.schedule_activity
                self._activities.begin(activity.activity_id, activity.seq)
                if activity.cancellation_type == ActivityCancellationType.TRY_CANCEL:
                    self._cancel_at_once[activity.seq] = (activity.activity_id, activity.activity_type)
            case "request_cancel_activity":
                return self._cancel_activity(command.request_cancel_activity.seq)
            case "schedule_local_activity":
                self._local.add(command.schedule_local_activity.seq)
            case "start_timer":
                self._timers.add(command.start_timer.seq)
            case "start_child_workflow_execution":
                child = command.start_child_workflow_execution
                self._children.begin(child.workflow_id, child.seq)
            case "signal_external_workflow_execution":
                self._signals.begin("", command.signal_external_workflow_execution.seq)
            case variant if variant in CLOSING_COMMANDS.values():
                self.closing = command
        return None

    def _cancel_activity(self, seq: int) -> WorkflowActivationJob | None:
        unsent = self._activities.withdraw(seq)
        names = self._cancel_at_once.pop(seq, None)
        if names is None and unsent is None:
            return None
        self._activities.forget(seq)
        return jobs.build_cancelled_activity_job(seq, *(names or (unsent or "", "")))

    def _match_commands(self, events: Sequence[HistoryEvent]) -> None:
        """Give what the flow has begun the ids of the events that were recorded of it."""
        for event in events:
            match event.event_type:
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    name = event.activity_task_scheduled_event_attributes.activity_id
                    self._activities.record(name, event.event_id)
                case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                    name = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
                    self._children.record(name, event.event_id)
                case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
                    self._signals.record("", event.event_id)
                case EventType.EVENT_TYPE_TIMER_STARTED:
                    if int(event.timer_started_event_attributes.timer_id) not in self._timers:
                        raise HistoryMismatch(f"no timer for event {event.event_id}")
                case kind if kind in CLOSING_COMMANDS:
                    variant = self.closing and self.closing.WhichOneof("variant")
                    if variant != CLOSING_COMMANDS[kind] or self._has_other_result(event):
                        raise HistoryMismatch(f"the execution ended with event {event.event_id}, and not as {variant}")
        if self._activities.unrecorded or self._children.unrecorded:
            raise HistoryMismatch("the flow has begun what is not in its history")

    def _has_other_result(self, event: HistoryEvent) -> bool:
        """Return whether the run completed with another result than it was given here."""
        if self.closing is None or event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            return False
        recorded = event.workflow_execution_completed_event_attributes.result.payloads
        return list(recorded) != [self.closing.complete_workflow_execution.result]


class _Operations:
    """What a flow has begun and has not ended, by sequence number and by the event that was recorded of it."""

    def __init__(self) -> None:
        self.unrecorded: defaultdict[str, deque[int]] = defaultdict(deque)
        self._by_event: dict[int, int] = {}

    def begin(self, name: str, seq: int) -> None:
        self.unrecorded[name].append(seq)

    def record(self, name: str, event_id: int) -> None:
        waiting = self.unrecorded.get(name)
        if not waiting:
            raise HistoryMismatch(f"the flow has not begun what event {event_id} is about")
        self._by_event[event_id] = waiting.popleft()
        if not waiting:
            del self.unrecorded[name]

    def find(self, event_id: int) -> int | None:
        return self._by_event.get(event_id)

    def close(self, event_id: int) -> int | None:
        return self._by_event.pop(event_id, None)

    def withdraw(self, seq: int) -> str | None:
        """Take off what was not recorded yet; return its name."""
        for name, waiting in self.unrecorded.items():
            if seq in waiting:
                waiting.remove(seq)
                if not waiting:
                    del self.unrecorded[name]
                return name
        return None

    def forget(self, seq: int) -> None:
        """Ignore how it ends."""
        self._by_event = {event_id: known for event_id, known in self._by_event.items() if known != seq}


class _Keeper(WorkflowInboundInterceptor):
    """Hands out the workflow's object."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        workflow.extern_functions()[KEEP](workflow.instance())
        return await super().execute_workflow(input)


def _iterate_local_markers(events: Sequence[HistoryEvent]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for event in events:
        marker = event.marker_recorded_event_attributes
        if marker.marker_name == LOCAL_ACTIVITY:
            yield marker, jobs.decode_marker(marker.details["data"].payloads[0])


def _find_place(accepted: HistoryEvent) -> int:
    """Return the event after which an update came."""
    place: int = accepted.workflow_execution_update_accepted_event_attributes.accepted_request_sequencing_event_id
    return place


def _describe_instance(
    workflow_id: str, first: HistoryEvent, keep: Callable[[RunWorkflow], None]
) -> WorkflowInstanceDetails:
    started = first.workflow_execution_started_event_attributes
    moment = first.event_time.ToDatetime(UTC)
    typed: TypedSearchAttributes = decode_typed_search_attributes(started.search_attributes)
    info = workflow.Info(
        attempt=max(started.attempt, 1),
        continued_run_id=started.continued_execution_run_id or None,
        cron_schedule=None,
        execution_timeout=None,
        first_execution_run_id=started.first_execution_run_id,
        headers={},
        namespace=NAMESPACE,
        original_execution_run_id=started.original_execution_run_id,
        parent=None,
        root=None,
        priority=Priority.default,
        raw_memo=dict(started.memo.fields),
        retry_policy=None,
        run_id=started.original_execution_run_id,
        run_timeout=None,
        search_attributes={},
        start_time=moment,
        task_queue=started.task_queue.name,
        task_timeout=started.workflow_task_timeout.ToTimedelta(),
        typed_search_attributes=typed,
        workflow_id=workflow_id,
        workflow_start_time=moment,
        workflow_type=started.workflow_type.name,
    )
    return WorkflowInstanceDetails(
        payload_converter_factory=DefaultPayloadConverter,
        failure_converter_class=DefaultFailureConverter,
        interceptor_classes=[_Keeper],
        defn=workflow._Definition.must_from_class(RunWorkflow),
        info=info,
        randomness_seed=compute_random_seed(started.original_execution_run_id),
        extern_functions={
            KEEP: keep,
            "__temporal_get_metric_meter": lambda: MetricMeter.noop,
            "__temporal_assert_local_activity_valid": lambda _: None,
        },
        disable_eager_activity_execution=False,
        worker_level_failure_exception_types=[],
        patch_activation_callback=None,
        last_completion_result=Payloads(),
        last_failure=None,
    )
