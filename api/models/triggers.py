"""Bodies of the routes for events, webhooks and deliveries."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue

from api.fields import EVENT_NAME, LINE, TEXT, WORKFLOW_ID, UtcTime
from api.models.base import Model
from orchestrator.model.plan import MAX_KEEP_SECONDS
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER
from orchestrator.store.deliveries import Delivery


class EventRequest(Model):
    """An event; it starts every active workflow with a matching trigger."""

    id: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=LINE,
        description="Deduplicates the event: the same ID is accepted once.",
        examples=["evt-1"],
    )
    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=EVENT_NAME,
        description="Event name: words separated by dots.",
        examples=["order.paid"],
    )
    data: JsonValue = Field(None, description="Payload of the event.", examples=[{"order_id": 4711}])
    key: (
        dict[
            Annotated[str, Field(pattern=LINE, min_length=1, max_length=100)],
            Annotated[str, Field(pattern=TEXT)] | int,
        ]
        | None
    ) = Field(
        None,
        min_length=1,
        max_length=1,
        description="Name and value of a key: the event is also given, once, to every run that waits for its name and "
        "for this key, or has it as a business key.",
        examples=[{"order": 7}],
    )
    keep_seconds: float = Field(
        86_400,
        ge=0,
        le=MAX_KEEP_SECONDS,
        description="How long an event with a key is kept for runs that begin to wait for it, in seconds.",
    )
    customer_id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CUSTOMER,
        pattern=CUSTOMER_NAME,
        description="Customer ID, for administrators.",
    )


class StartView(BaseModel):
    """The start of one run by a delivery."""

    workflow_id: str = Field(description="Workflow ID.")
    run_id: str = Field(description="Run ID.")
    state: Literal["pending", "paused", "started", "resumed", "failed"] = Field(
        description="`paused` waits until its workflow is active and the delivery is redriven."
    )
    reason: str | None = Field(None, description="Why the start failed.")


class AnswerView(BaseModel):
    """What a workflow answered when a delivery asked whether it starts."""

    workflow_id: str = Field(description="Workflow ID.")
    version: int = Field(description="Version whose trigger was asked.")
    trigger: str = Field(description="Event name or webhook path of the trigger, such as `order.*`.")
    answer: Literal["start", "paused", "filtered", "failed"] = Field(
        description="It starts; it is paused; its filter is false; its filter cannot be evaluated."
    )
    reason: str | None = Field(None, description="Why the filter failed.")
    decision: Any = Field(None, description="What a false filter compared, and the values it saw.")


class DeliveryView(BaseModel):
    """An incoming event, webhook request or start, and its outcome."""

    id: str = Field(description="Delivery ID.")
    customer_id: str = Field(description="Customer ID.")
    kind: Literal["event", "webhook", "start"] = Field(description="What was received.")
    name: str = Field(description="Name of the event, path of the webhook, or ID of the workflow.")
    key: str | None = Field(description="Event ID or idempotency key.")
    outcome: Literal["accepted", "paused", "duplicate", "rejected"] = Field(
        description="`paused` has been accepted for paused workflows only."
    )
    reason: str | None = Field(description="Why it was rejected, or why nothing starts.")
    asked: list[AnswerView] | None = Field(
        description="What the workflows of the event or path answered: the first 20, those that do not start first."
    )
    duplicate_of: str | None = Field(
        description="ID of the first delivery with this key; `runs` are the runs of that one."
    )
    redrive_of: str | None = Field(description="ID of the delivery that was redriven.")
    received: Any = Field(description="The `trigger` of the runs.")
    received_at: datetime = Field(description="When it was received.")
    runs: list[StartView] = Field(description="The runs; in a list, the first 20 of each delivery.")
    states: dict[str, int] = Field(description="Number of runs by state.")


class ReleaseRequest(Model):
    """A selection of what was received for a workflow while it was paused."""

    workflow_id: str = Field(
        min_length=1, max_length=128, pattern=WORKFLOW_ID, description="Workflow ID.", examples=["invoice-reminder"]
    )
    received_after: UtcTime | None = Field(None, description="Received at or after this time (RFC 3339).")
    received_before: UtcTime | None = Field(None, description="Received before this time (RFC 3339).")


class ReleaseResponse(BaseModel):
    """The starts that a selection has released."""

    released: int = Field(description="Number of runs that start, in the background.")


class WebhookResponse(BaseModel):
    """What became of a webhook request."""

    delivery_id: str = Field(description="Delivery ID.")
    run_id: str | None = Field(description="ID of the run; null where the filter of the webhook is false.")
    state: Literal["pending", "paused", "started", "resumed", "filtered"] = Field(
        description="Whether the run has started, or why it has not."
    )
    duplicate: bool = Field(description="Whether an earlier request with the same key was accepted instead.")


def make_delivery_view(delivery: Delivery) -> DeliveryView:
    """Return the response body of a delivery."""
    values = {name: getattr(delivery, name) for name in DeliveryView.model_fields if name not in ("runs", "states")}
    runs = [
        StartView.model_validate({name: getattr(start, name) for name in StartView.model_fields})
        for start in delivery.starts
    ]
    states = delivery.states or Counter(start.state for start in delivery.starts)
    return DeliveryView(**values, runs=runs, states=dict(states))
