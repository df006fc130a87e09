"""Read stream events from the history of a run. No I/O here except decoding.

No worker is queried, so pure nodes (condition, set, switch, end) do not appear: they leave no history event.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter

from orchestrator.errors import parse_error_type
from orchestrator.interpreter.segments import SegmentStep
from orchestrator.model.run import Document, RepairKind, Run, Status, find_owner
from orchestrator.temporal.closing_event import run_from_close_event
from orchestrator.temporal.history.node_names import list_nodes, parse_node_id
from orchestrator.temporal.requests import read_request
from orchestrator.temporal.workflow.segments import SEGMENT

LOCAL_ACTIVITY = "core_local_activity"
"""Name of the marker that Temporal's SDKs record for a local activity."""
ENDINGS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)
CLOSINGS: dict[int, tuple[str, str, Status]] = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: (
        "activity_task_completed_event_attributes",
        "scheduled_event_id",
        "completed",
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: (
        "activity_task_failed_event_attributes",
        "scheduled_event_id",
        "failed",
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: (
        "activity_task_timed_out_event_attributes",
        "scheduled_event_id",
        "failed",
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: (
        "activity_task_canceled_event_attributes",
        "scheduled_event_id",
        "cancelled",
    ),
    EventType.EVENT_TYPE_TIMER_FIRED: ("timer_fired_event_attributes", "started_event_id", "completed"),
    EventType.EVENT_TYPE_TIMER_CANCELED: ("timer_canceled_event_attributes", "started_event_id", "cancelled"),
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: (
        "start_child_workflow_execution_failed_event_attributes",
        "initiated_event_id",
        "failed",
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: (
        "child_workflow_execution_completed_event_attributes",
        "initiated_event_id",
        "completed",
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: (
        "child_workflow_execution_failed_event_attributes",
        "initiated_event_id",
        "failed",
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: (
        "child_workflow_execution_timed_out_event_attributes",
        "initiated_event_id",
        "failed",
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: (
        "child_workflow_execution_canceled_event_attributes",
        "initiated_event_id",
        "cancelled",
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: (
        "child_workflow_execution_terminated_event_attributes",
        "initiated_event_id",
        "cancelled",
    ),
}
"""By closing event type: its attributes, the attribute that names the event it closes, and the resulting status."""


class RunEvent(Document):
    """The run has started or ended."""

    event: ClassVar = "run"
    id: str = Field(description="Run ID.")
    status: Status = Field(description="Status of the run.")
    started_at: datetime = Field(description="When it started.")
    completed_at: datetime | None = Field(None, description="When it ended; null while it is running.")
    duration_ms: int | None = Field(None, description="How long it took, in milliseconds.")
    output: Any = Field(None, description="Output of the run.")
    error: str | None = Field(None, description="Message of the failure.")
    failure: dict[str, Any] | None = Field(None, description="The error document.")


class StepEvent(Document):
    """An action, timer, branch or called workflow has started or ended."""

    event: ClassVar = "step"
    at: datetime = Field(description="When it happened.")
    kind: Literal["action", "segment", "timer", "branch", "workflow"] = Field(
        description="What happened; a `segment` is several fused actions, which end in one event."
    )
    status: Status = Field(
        description="Status of the operation; how its node handled a failure is in the run document."
    )
    name: str = Field(description="Name of the node, or its id.")
    node_id: str | None = Field(description="Null where several nodes have this name.")
    step_id: str | None = Field(description="Null for timers and called workflows: the history does not hold it.")
    attempt: int | None = Field(None, description="The last attempt of an action.")
    steps: int | None = Field(None, description="Number of steps of a segment; name and IDs are those of the first.")
    run_id: str | None = Field(None, description="Run id of a called workflow.")
    error: dict[str, Any] | None = Field(None, description="`{message, error_type}`")


class SignalEvent(Document):
    """A signal or update reached the run."""

    event: ClassVar = "signal"
    at: datetime = Field(description="When it happened.")
    signal: Literal["event", "pause", "resume", "resolve", "repair", "migrate", "cancel"] = Field(
        description="Name of the signal."
    )
    name: str | None = Field(
        None, description="Name of the event, or the node or step that an operator resolved or repaired."
    )
    kind: RepairKind | None = Field(None, description="For `repair`: what was done.")
    version: int | None = Field(None, description="For `migrate`: the version that the run is to move to.")
    by: str | None = Field(None, description="Who did it: the name of an API key, or the assignee of an approval.")
    reason: str | None = Field(None, description="Why.")


StreamEvent = RunEvent | StepEvent | SignalEvent


def get_moment(event: StreamEvent) -> datetime:
    """Return when an event happened."""
    return event.completed_at or event.started_at if isinstance(event, RunEvent) else event.at


class EventReader:
    """Reads one history after the other; remembers what has started and not ended."""

    def __init__(self, workflow_id: str, converter: DataConverter, *, branch: bool) -> None:
        self.workflow_id = workflow_id
        self.converter = converter
        self.branch = branch
        self.run = Run(id=workflow_id, workflow_id="", workflow_version=0, status="running")
        self._nodes: dict[tuple[str, str], str | None] = {}
        self._names: dict[str, str] = {}
        self._open: dict[int, StepEvent] = {}
        self._attempts: dict[int, int] = {}

    async def read(self, event: HistoryEvent) -> StreamEvent | None:
        """Return the stream event of the next history event; most have none."""
        at = event.event_time.ToDatetime(UTC)
        if event.event_type in ENDINGS:
            return (
                None if self.branch else _build_run_event(await run_from_close_event(self.run, event, self.converter))
            )
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                return await self._read_start(event, at)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                return await self._read_signal(event, at)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                return None if self.branch else SignalEvent(at=at, signal="cancel")
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
                return await self._read_update(event, at)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                return await self._read_local_activity(event, at)
        return await self._read_external(event, at)

    async def _read_start(self, event: HistoryEvent, at: datetime) -> StreamEvent | None:
        values = await self._decode(event.workflow_execution_started_event_attributes.input.payloads)
        # Up to 32 MB of JSON where a run has continued as new: too much for the event loop.
        request = await asyncio.to_thread(read_request, values)
        state = _as_object(request.get("state"))
        started = datetime.fromisoformat(state["started_at"]) if "started_at" in state else at
        continued = self.run.started_at is not None
        self.run = self.run.model_copy(update={"started_at": started})
        for kind, title, node_id in list_nodes(_as_object(_as_object(request.get("plan")).get("scope"))):
            name = (kind, title)
            self._nodes[name] = node_id if self._nodes.get(name, node_id) == node_id else None
            self._names[node_id] = title
        return None if self.branch or continued else _build_run_event(self.run)

    async def _read_update(self, event: HistoryEvent, at: datetime) -> StreamEvent:
        update = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        message = await self._decode_object(update.args.payloads)
        names = [message.get(name) for name in ("step_id", "node_id", "path")]
        return SignalEvent.model_validate(
            {
                "at": at,
                "signal": update.name,
                "name": next((str(name) for name in names if name), None),
                "kind": message.get("kind"),
                "version": _as_object(message.get("plan")).get("version"),
                **_read_operator(message),
            }
        )

    async def _read_signal(self, event: HistoryEvent, at: datetime) -> StreamEvent | None:
        signal = event.workflow_execution_signaled_event_attributes
        if self.branch or signal.signal_name not in ("event", "pause", "resume"):
            return None  # branches get copies of the signals of the run
        message = await self._decode_object(signal.input.payloads)
        return SignalEvent.model_validate(
            {
                "at": at,
                "signal": signal.signal_name,
                "name": _as_text(message.get("name")),
                **_read_operator(message),
            }
        )

    async def _read_local_activity(self, event: HistoryEvent, at: datetime) -> StreamEvent | None:
        """Read a local activity: it appears in the history when it has ended."""
        marker = event.marker_recorded_event_attributes
        if marker.marker_name != LOCAL_ACTIVITY or "data" not in marker.details:
            return None
        marker_data = await self._decode_object(marker.details["data"].payloads)
        step_id = str(marker_data.get("activity_id", ""))
        if marker_data.get("activity_type") == SEGMENT and "result" in marker.details:
            answer = await self._decode_object(marker.details["result"].payloads)
            return self._read_segment([SegmentStep.decode(step) for step in answer["steps"]], at)
        failed = marker.HasField("failure")
        return StepEvent(
            at=at,
            kind="action",
            status=_read_failed_status(marker.failure) if failed else "completed",
            name=await self._decode_summary(event) or step_id,
            node_id=parse_node_id(step_id),
            step_id=step_id,
            attempt=marker_data.get("attempt"),
            error=_read_error(marker.failure) if failed else None,
        )

    def _read_segment(self, steps: Sequence[SegmentStep], at: datetime) -> StreamEvent | None:
        """Read a segment: a single step as that of an action by itself."""
        if not steps:
            return None
        first, last = steps[0], steps[-1]
        node_id = parse_node_id(first.id)
        return StepEvent(
            at=at,
            kind="action" if len(steps) == 1 else "segment",
            status="cancelled" if last.cancelled else "failed" if last.error else "completed",
            name=self._names.get(node_id, node_id),
            node_id=node_id,
            step_id=first.id,
            attempt=last.attempts if len(steps) == 1 else None,
            steps=None if len(steps) == 1 else len(steps),
            error=last.error and {name: last.error[name] for name in ("message", "error_type")},
        )

    async def _read_external(self, event: HistoryEvent, at: datetime) -> StreamEvent | None:
        """Read what starts with one event and ends with another that names the first."""
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                return self._open_step(event, await self._read_action(event, at))
            case EventType.EVENT_TYPE_TIMER_STARTED:
                return self._open_step(event, await self._read_timer(event, at))
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                return self._open_step(event, await self._read_child(event, at))
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                self._attempts[started.scheduled_event_id] = started.attempt
                return None
        return self._close_step(event, at)

    def _close_step(self, event: HistoryEvent, at: datetime) -> StepEvent | None:
        started_by = find_starting_event(event)
        attempt, before = self._attempts.pop(started_by, None), self._open.pop(started_by, None)
        if before is None:
            return None
        attributes, status = _read_closing(event)
        if before.kind == "timer" and status == "cancelled" and ("wait", before.name) in self._nodes:
            status = "completed"  # the event that the node waits for has arrived
        failure = getattr(attributes, "failure", None) if status == "failed" else None
        error = None if failure is None else _read_error(failure)
        return before.model_copy(update={"at": at, "status": status, "attempt": attempt, "error": error})

    def _open_step(self, event: HistoryEvent, step: StepEvent | None) -> StepEvent | None:
        if step is not None:
            self._open[event.event_id] = step
        return step

    async def _read_action(self, event: HistoryEvent, at: datetime) -> StepEvent:
        scheduled = event.activity_task_scheduled_event_attributes
        message = await self._decode_object(scheduled.input.payloads)
        node_id = _as_text(_as_object(message.get("context")).get("node_id")) or parse_node_id(scheduled.activity_id)
        name = await self._decode_summary(event) or node_id
        return StepEvent(
            at=at, kind="action", status="running", name=name, node_id=node_id, step_id=scheduled.activity_id
        )

    async def _read_timer(self, event: HistoryEvent, at: datetime) -> StepEvent | None:
        """Read a timer; only those of `delay` and `wait` nodes are shown."""
        name = await self._decode_summary(event)
        for kind in ("delay", "wait"):
            if name and (kind, name) in self._nodes:
                node_id = self._nodes[kind, name]
                return StepEvent(at=at, kind="timer", status="waiting", name=name, node_id=node_id, step_id=None)
        return None

    async def _read_child(self, event: HistoryEvent, at: datetime) -> StepEvent:
        initiated = event.start_child_workflow_execution_initiated_event_attributes
        # The envelope: the input and the plan of a child are not needed here.
        envelope = await self._decode_object(initiated.input.payloads[1:2])
        name = await self._decode_summary(event)
        branch = envelope.get("branch")
        if isinstance(branch, Mapping):
            path = str(branch.get("path", ""))
            node_id = parse_node_id(find_owner(path))
            return StepEvent(at=at, kind="branch", status="running", name=name or path, node_id=node_id, step_id=path)
        return StepEvent(
            at=at,
            kind="workflow",
            status="running",
            name=name or initiated.workflow_id,
            node_id=self._nodes.get(("workflow", name)),
            step_id=None,
            run_id=initiated.workflow_id,
        )

    async def _decode_summary(self, event: HistoryEvent) -> str:
        """Return the name that Temporal's Web UI shows beside an event."""
        values = await self._decode([event.user_metadata.summary]) if event.user_metadata.HasField("summary") else []
        return str(values[0]) if values else ""

    async def _decode_object(self, payloads: Sequence[Payload]) -> Mapping[str, Any]:
        values = await self._decode(payloads)
        return _as_object(values[0] if values else None)

    async def _decode(self, payloads: Sequence[Payload]) -> list[Any]:
        return await self.converter.decode(payloads)


def find_starting_event(event: HistoryEvent) -> int:
    """Return the id of the event that began what this one closes; 0 where it closes nothing."""
    if event.event_type not in CLOSINGS:
        return 0
    return int(getattr(_read_closing(event)[0], CLOSINGS[event.event_type][1]))


def _read_closing(event: HistoryEvent) -> tuple[Any, Status]:
    name, _, status = CLOSINGS[event.event_type]
    return getattr(event, name), status


def _build_run_event(run: Run) -> RunEvent:
    return RunEvent.model_validate({name: getattr(run, name) for name in RunEvent.model_fields})


def _read_failed_status(failure: Failure) -> Status:
    return "cancelled" if failure.HasField("canceled_failure_info") else "failed"


def _read_error(failure: Failure) -> dict[str, Any]:
    """Return `{message, error_type}` of the innermost cause."""
    while failure.HasField("cause"):
        failure = failure.cause
    timed_out = failure.HasField("timeout_failure_info")
    kind = "timeout_error" if timed_out else parse_error_type(failure.application_failure_info.type)
    return {"message": failure.message, "error_type": kind}


def _read_operator(message: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: _as_text(message.get(name) or None) for name in ("by", "reason")}


def _as_object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)
