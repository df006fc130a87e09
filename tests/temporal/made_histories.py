"""Histories of any length, made as Temporal records them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.common import TypedSearchAttributes
from temporalio.converter import DefaultPayloadConverter, encode_search_attributes

from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal.requests import build_run_request, split_request
from orchestrator.temporal.search_attributes import build_search_attributes

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "0f9ac9a6-33ad-4f4e-8e0a-0b2a54a0f7a1"


def make_loop_history(plan: Plan, info: RunInfo, loop: str, node: str, count: int) -> History:
    """Return the history of a run whose loop calls an action `count` times: six events each, and two to begin with."""
    return History(events=_Maker().make(plan, info, loop, node, count))


class _Maker:
    def __init__(self) -> None:
        self.count = 0

    def make(self, plan: Plan, info: RunInfo, loop: str, node: str, count: int) -> Iterator[HistoryEvent]:
        convert = DefaultPayloadConverter().to_payloads
        first = self.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
        started = first.workflow_execution_started_event_attributes
        started.workflow_type.name = plan.id
        encode_search_attributes(TypedSearchAttributes(build_search_attributes(plan, info)), started.search_attributes)
        started.original_execution_run_id = started.first_execution_run_id = RUN_ID
        started.input.payloads.extend(convert(split_request(build_run_request(plan, info))))
        yield first
        yield from self.make_task()
        for index in range(count):
            scheduled = self.add(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
            attributes = scheduled.activity_task_scheduled_event_attributes
            attributes.activity_id, attributes.activity_type.name = f"{loop}[{index}]/{node}", "work"
            yield scheduled
            begun = self.add(EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
            begun.activity_task_started_event_attributes.scheduled_event_id = scheduled.event_id
            yield begun
            ended = self.add(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
            completed = ended.activity_task_completed_event_attributes
            completed.scheduled_event_id, completed.started_event_id = scheduled.event_id, begun.event_id
            completed.result.payloads.extend(convert([{"done": index}]))
            yield ended
            yield from self.make_task()
        last = self.add(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
        last.workflow_execution_completed_event_attributes.result.payloads.extend(convert([{"output": {}}]))
        yield last

    def make_task(self) -> Iterator[HistoryEvent]:
        scheduled = self.add(EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
        scheduled.workflow_task_scheduled_event_attributes.attempt = 1
        yield scheduled
        started = self.add(EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
        started.workflow_task_started_event_attributes.scheduled_event_id = scheduled.event_id
        yield started
        completed = self.add(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        completed.workflow_task_completed_event_attributes.started_event_id = started.event_id
        yield completed

    def add(self, kind: EventType.ValueType) -> HistoryEvent:
        self.count += 1
        event = HistoryEvent(event_id=self.count, event_type=kind)
        event.event_time.FromDatetime(START + timedelta(milliseconds=2 * self.count))
        return event
