"""Bodies of the routes about events, webhooks and deliveries."""

from collections import Counter
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue

from api.models.base import Model
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER
from orchestrator.store.deliveries import Delivery


class EventRequest(Model):
    """An event: every active workflow that waits for its name starts."""

    id: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The same id starts nothing twice.",
        examples=["evt-1"],
    )
    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\s\x00-\x1f\x7f.*]+(\.[^\s\x00-\x1f\x7f.*]+)*$",
        examples=["order.paid"],
    )
    data: JsonValue = Field(None, examples=[{"order_id": 4711}])
    customer_id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CUSTOMER,
        pattern=CUSTOMER_NAME,
        description="For administrators: whose event it is.",
    )


class StartView(BaseModel):
    """A run that a delivery started, or should have."""

    workflow_id: str
    run_id: str
    state: Literal["pending", "started", "resumed", "failed"]
    reason: str | None = None


class DeliveryView(BaseModel):
    """What came in, and what became of it."""

    id: str
    customer_id: str
    kind: Literal["event", "webhook", "start"]
    name: str
    key: str | None
    outcome: Literal["accepted", "duplicate", "rejected"]
    reason: str | None
    duplicate_of: str | None = Field(description="The delivery that won; the runs are its.")
    redrive_of: str | None
    received: Any = Field(description="What runs see as their trigger.")
    received_at: datetime
    runs: list[StartView] = Field(description="In a list only the first 20 of each delivery.")
    states: dict[str, int] = Field(description="How many of its runs stand how.")


class WebhookResponse(BaseModel):
    """What became of a request to a webhook."""

    delivery_id: str
    run_id: str
    state: Literal["pending", "started", "resumed"]
    duplicate: bool


def make_delivery_view(delivery: Delivery) -> DeliveryView:
    """Show an entry of the ledger."""
    values = {name: getattr(delivery, name) for name in DeliveryView.model_fields if name not in ("runs", "states")}
    runs = [
        StartView.model_validate({name: getattr(start, name) for name in StartView.model_fields})
        for start in delivery.starts
    ]
    states = delivery.states or Counter(start.state for start in delivery.starts)
    return DeliveryView(**values, runs=runs, states=dict(states))
