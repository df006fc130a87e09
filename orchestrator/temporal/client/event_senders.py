"""Find in the history of a run who sent an event to it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from orchestrator.interpreter.inbox import Event
from orchestrator.temporal.requests import read_request

MAX_SEARCHED = 5_000
"""Events of the history that are searched, from its start."""


@dataclass(frozen=True, slots=True)
class EventSender:
    """Who sent an event; empty where Temporal has not recorded it."""

    by: str = ""
    """The identity of the client, which is the name of the API key."""
    key: str = ""
    """The key under which it counts once."""


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """An answer that was sent to an approval by its link."""

    by: str
    payload: Any
    sent_at: datetime | None
    """`None` where it was sent before the run continued as new, or to the run that this one reruns."""


@dataclass(frozen=True, slots=True)
class _SentEvent:
    """An event in the history of a run."""

    message: Mapping[str, Any]
    sender: EventSender
    sent_at: datetime | None


async def find_event_sender(client: Client, run_id: str, name: str, payload: Any) -> EventSender:
    """Return who first sent this event with this payload, as far as the execution in progress says."""
    async for event in _iterate_events(client, run_id):
        if (event.message.get("name"), event.message.get("payload")) == (name, payload):
            return event.sender
    return EventSender()


async def has_event(client: Client, run_id: str, name: str, key: str) -> bool:
    """Return whether an event was sent under a key, as far as the execution in progress says."""
    async for event in _iterate_events(client, run_id):
        if (event.message.get("name"), event.sender.key) == (name, key):
            return True
    return False


async def find_approval_answer(
    client: Client, run_id: str, step_id: str, assignees: Sequence[str] | None
) -> ApprovalAnswer | None:
    """Return the first answer to an approval, as far as the execution in progress says; that of an assignee, if given.

    What was answered by anybody else was refused by the run.
    """
    async for event in _iterate_events(client, run_id):
        by = str(event.message.get("by", ""))
        if event.message.get("step_id") == step_id and (assignees is None or by in assignees):
            return ApprovalAnswer(by, event.message.get("payload"), event.sent_at)
    return None


async def _iterate_events(client: Client, run_id: str) -> AsyncIterator[_SentEvent]:
    """Yield the events that were sent to a run, in order."""
    searched = 0
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        searched += 1
        if searched > MAX_SEARCHED:
            break
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            for sent in _read_inbox(read_request(await client.data_converter.decode(payloads))):
                yield sent
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            continue
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == "event" and signal.input.payloads:
            (message,) = await client.data_converter.decode(signal.input.payloads[:1])
            if isinstance(message, dict):
                sent_at = event.event_time.ToDatetime(UTC)
                yield _SentEvent(message, EventSender(signal.identity, signal.request_id), sent_at)


def _read_inbox(request: Mapping[str, Any]) -> Iterator[_SentEvent]:
    """Yield the unread events with which an execution began."""
    for event in map(Event.from_json, request.get("inbox", ())):
        message = {"name": event.name, "payload": event.payload, "by": event.by, "step_id": event.step_id}
        yield _SentEvent(message, EventSender(event.by), None)
