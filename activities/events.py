"""`event.emit`: send an event to the events service."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from activities.http import Request, send_request
from activities.registry import ActionContext, ActionFailed, action
from orchestrator.model.plan import MAX_KEEP_SECONDS


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
    key: dict[Annotated[str, Field(min_length=1, max_length=100)], str | int] | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="Name and value of a key, such as `{order: 7}`: the event is also given, once, to every run that "
        "waits for its name and for this key, or has it as a business key.",
    )
    keep_seconds: float | None = Field(
        None,
        ge=0,
        le=MAX_KEEP_SECONDS,
        description="How long an event with a key is kept for runs that begin to wait for it, in seconds (a day).",
    )
    id: str | None = Field(
        None, max_length=200, description="Events with the same id are accepted once; defaults to the idempotency key."
    )


class Emitted(BaseModel):
    """Result of `event.emit`."""

    event_id: str = Field(description="Id of the event.")


@action("event.emit", timeout_seconds=30, heartbeat_seconds=10)
async def emit(parameters: Emit, context: ActionContext) -> Emitted:
    """Emit an event of the run's customer; it starts the workflows whose trigger matches its name.

    With a `key` it is also given to the runs that wait for its name and this key, as `POST /events` does.
    """
    url = context.resources.settings.events_url
    if not url:
        raise ActionFailed(
            "cannot emit events: ORCHESTRATOR_EVENTS_URL is not set", error_type="execution_error", recoverable=False
        )
    event_id = parameters.id or context.idempotency_key
    body: dict[str, Any] = {"id": event_id, "name": parameters.name, "data": parameters.data}
    if parameters.key:
        body |= {"key": parameters.key}
        body |= {} if parameters.keep_seconds is None else {"keep_seconds": parameters.keep_seconds}
    if context.customer_id:
        body["customer_id"] = context.customer_id
    request = Request.model_validate({"method": "POST", "url": url, "json": body})
    await send_request(request, context, context.resources.events)
    return Emitted(event_id=event_id)
