"""Add up how long workers were busy with the activities of a history. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from orchestrator.temporal.history.activation_jobs import decode_marker
from orchestrator.temporal.history.stream_events import LOCAL_ACTIVITY

ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}


def sum_worker_seconds(events: Sequence[HistoryEvent]) -> float:
    """Return the duration of all attempts whose times are recorded, in seconds."""
    seconds = 0.0
    for event in events:
        if event.event_type in ENDS:
            # An activity that no worker has taken has no such event.
            if started := getattr(event, ENDS[event.event_type]).started_event_id:
                seconds += _read_seconds(event.event_time) - _read_seconds(events[started - 1].event_time)
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            marker = event.marker_recorded_event_attributes
            if marker.marker_name == LOCAL_ACTIVITY:
                seconds += _measure_local(decode_marker(marker.details["data"].payloads[0]))
    return seconds


def _measure_local(details: Mapping[str, Any]) -> float:
    """Return how long a local activity took; its marker does not tell when an attempt after the first began."""
    began, ended = details.get("original_schedule_time"), details.get("complete_time")
    if details["attempt"] != 1 or not began or not ended:
        return 0.0
    return max(float(ended["seconds"] - began["seconds"] + (ended["nanos"] - began["nanos"]) / 1e9), 0.0)


def _read_seconds(timestamp: Any) -> float:
    return float(timestamp.seconds + timestamp.nanos / 1e9)
