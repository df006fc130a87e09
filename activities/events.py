"""`event.emit`: tell the events service that something happened."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from activities.http import Request, send_request
from activities.registry import ActionContext, ActionFailed, action


class Emit(BaseModel):
    """Parameters of `event.emit`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
    data: Any = None
    id: str | None = Field(None, max_length=200, description="The same id is taken once; the step's key unless given.")


class Emitted(BaseModel):
    """Result of `event.emit`."""

    event_id: str


@action("event.emit", timeout_seconds=30, heartbeat_seconds=10)
async def emit(parameters: Emit, context: ActionContext) -> Emitted:
    """Emit an event of the run's customer: workflows that wait for its name start. See `ORCHESTRATOR_EVENTS_URL`."""
    url = context.resources.settings.events_url
    if not url:
        raise ActionFailed(
            "events have no place to go: set ORCHESTRATOR_EVENTS_URL", error_type="execution_error", recoverable=False
        )
    event_id = parameters.id or context.idempotency_key
    body = {"id": event_id, "name": parameters.name, "data": parameters.data}
    if context.customer_id:
        body["customer_id"] = context.customer_id
    request = Request.model_validate({"method": "POST", "url": url, "json": body})
    await send_request(request, context, context.resources.events)
    return Emitted(event_id=event_id)
