"""Read the attempts of actions from a history. No I/O.

Temporal records an attempt when its activity has ended, and the failure of the one before it; those of local activities
that a timer separates are all recorded.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from orchestrator.errors import parse_error_type
from orchestrator.interpreter.segments import SegmentStep
from orchestrator.model.run import Attempt, Run
from orchestrator.temporal.history.activation_jobs import decode_marker
from orchestrator.temporal.history.stream_events import LOCAL_ACTIVITY
from orchestrator.temporal.payloads import shorten_id
from orchestrator.temporal.workflow.segments import SEGMENT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAILED = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
}


def add_attempts(run: Run, events: Sequence[HistoryEvent]) -> Run:
    """Return a run whose steps have the attempts that a history tells of."""
    attempts = _read_attempts(events)
    steps = [
        step.model_copy(update={"attempts": attempts[name]}) if (name := shorten_id(step.id)) in attempts else step
        for step in run.steps
    ]
    return run.model_copy(update={"steps": steps})


def _read_attempts(events: Sequence[HistoryEvent]) -> dict[str, list[Attempt]]:
    """Return the attempts by activity id."""
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    started: dict[int, HistoryEvent] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started[event.activity_task_started_event_attributes.scheduled_event_id] = event
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                scheduled = event.activity_task_completed_event_attributes.scheduled_event_id
                attempts[_read_id(events, scheduled)] += _list_attempts(started.pop(scheduled, None), event, None)
            case kind if kind in FAILED:
                ended = getattr(event, FAILED[kind])
                error = _describe_failure(ended.failure)
                before = started.pop(ended.scheduled_event_id, None)
                attempts[_read_id(events, ended.scheduled_event_id)] += _list_attempts(before, event, error)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                if marker.marker_name == LOCAL_ACTIVITY:
                    for name, attempt in _list_local(marker):
                        attempts[name].append(attempt)
    return attempts


def _read_id(events: Sequence[HistoryEvent], scheduled: int) -> str:
    return events[scheduled - 1].activity_task_scheduled_event_attributes.activity_id


def _list_attempts(started: HistoryEvent | None, ended: HistoryEvent, error: dict[str, Any] | None) -> list[Attempt]:
    if started is None:
        return []
    attributes = started.activity_task_started_event_attributes
    number = max(attributes.attempt, 1)
    before = []
    if attributes.HasField("last_failure"):
        before = [Attempt(number=number - 1, error=_describe_failure(attributes.last_failure))]
    began, moment = started.event_time.ToDatetime(UTC), ended.event_time.ToDatetime(UTC)
    return [*before, Attempt(number=number, started_at=began, ended_at=moment, error=error)]


def _list_local(marker: Any) -> Iterator[tuple[str, Attempt]]:
    """Yield the activity ids and attempts of a local activity, or of the actions of a segment."""
    details = decode_marker(marker.details["data"].payloads[0])
    if details["activity_type"] != SEGMENT or marker.HasField("failure"):
        yield details["activity_id"], _read_local(marker, details)
        return
    answer = decode_marker(marker.details["result"].payloads[0])
    began = datetime.fromisoformat(answer["began"])
    for step in map(SegmentStep.decode, answer["steps"]):
        ended = began + timedelta(milliseconds=step.milliseconds)
        error = step.error and {name: step.error[name] for name in ("message", "error_type")}
        yield shorten_id(step.id), Attempt(number=step.attempts, ended_at=ended, error=error)


def _read_local(marker: Any, details: dict[str, Any]) -> Attempt:
    moment = details.get("complete_time")
    ended = moment and EPOCH + timedelta(seconds=moment["seconds"], microseconds=moment["nanos"] // 1_000)
    error = _describe_failure(marker.failure) if marker.HasField("failure") else None
    return Attempt(number=details["attempt"], ended_at=ended, error=error)


def _describe_failure(failure: Failure) -> dict[str, Any]:
    if failure.HasField("timeout_failure_info"):
        return {"message": failure.message, "error_type": "timeout_error"}
    return {"message": failure.message, "error_type": parse_error_type(failure.application_failure_info.type)}
