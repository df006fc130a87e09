"""`event.emit`: send an event to the events service."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from activities.http import Request, send_request
from activities.registry import ActionContext, ActionFailed, action


class Emit(BaseModel):
    """Parameters of `event.emit`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description="Event name: parts of letters, digits, `_` and `-`, joined by dots.",
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
    )
    data: Any = Field(None, description="Payload: `trigger.data` of the workflows that it starts.")
    id: str | None = Field(
        None, max_length=200, description="Events with the same id are accepted once; defaults to the idempotency key."
    )


class Emitted(BaseModel):
    """Result of `event.emit`."""

    event_id: str = Field(description="Id of the event.")


@action("event.emit", timeout_seconds=30, heartbeat_seconds=10)
async def emit(parameters: Emit, context: ActionContext) -> Emitted:
    """Emit an event of the run's customer; it starts the workflows whose trigger matches its name."""
    url = context.resources.settings.events_url
    if not url:
        raise ActionFailed(
            "cannot emit events: ORCHESTRATOR_EVENTS_URL is not set", error_type="execution_error", recoverable=False
        )
    event_id = parameters.id or context.idempotency_key
    body = {"id": event_id, "name": parameters.name, "data": parameters.data}
    if context.customer_id:
        body["customer_id"] = context.customer_id
    request = Request.model_validate({"method": "POST", "url": url, "json": body})
    await send_request(request, context, context.resources.events)
    return Emitted(event_id=event_id)
