"""Find in the history of a run who sent an event to it."""

from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.converter import DefaultPayloadConverter

MAX_SEARCHED = 5_000
"""Events of the history that are searched, from its start."""


@dataclass(frozen=True, slots=True)
class EventSender:
    """Who sent an event; empty where Temporal has not recorded it."""

    by: str = ""
    """The identity of the client, which is the name of the API key."""
    key: str = ""
    """The key under which it counts once."""


async def find_event_sender(client: Client, run_id: str, name: str, payload: Any) -> EventSender:
    """Return who first sent this event with this payload, as far as the execution in progress says."""
    searched = 0
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        searched += 1
        if searched > MAX_SEARCHED:
            break
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            continue
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == "event" and signal.input.payloads:
            (message,) = DefaultPayloadConverter().from_payloads(signal.input.payloads[:1])
            if isinstance(message, dict) and (message.get("name"), message.get("payload")) == (name, payload):
                return EventSender(signal.identity, signal.request_id)
    return EventSender()
