"""Events and webhooks that start runs, and the log of deliveries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from api.access import Reader, Runner, require_local_caller
from api.audit import note_change
from api.fields import PLAIN, IdempotencyKey
from api.json_bodies import StrictRoute
from api.models.triggers import (
    DeliveryView,
    EventRequest,
    ReleaseRequest,
    ReleaseResponse,
    WebhookResponse,
    make_delivery_view,
)
from api.paging import Cursor, Limit, Page, cut_page, decode_cursor
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.planner.webhook_checks import METHODS
from orchestrator.service.addressed_events import Address
from orchestrator.service.services import Services
from orchestrator.service.subscribers import FILTERED
from orchestrator.service.webhooks.body import BodyTooLarge
from orchestrator.service.webhooks.request import WebhookRequest
from orchestrator.store.deliveries import DUPLICATE
from orchestrator.store.workflows import WorkflowNotFound

router = APIRouter(tags=["triggers"], route_class=StrictRoute)
SANDBOX = "sandbox; default-src 'none'"
"""The response of a workflow is not a page of this server: it may contain what a sender has written."""
DeliveryId = Annotated[str, Path(pattern=PLAIN, max_length=100, description="Delivery ID.")]


@router.post(
    "/events",
    operation_id="sendEventToWorkflows",
    status_code=202,
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def send_event_to_workflows(
    request: EventRequest, services: ServicesDep, caller: Runner, idempotency_key: IdempotencyKey = None
) -> DeliveryView:
    """Start every active workflow whose trigger matches the event. Accepted starts survive a crash.

    With a `key`, it is also given to the runs that wait for its name and this key, or begin to within `keep_seconds`.

    An event with the same `id` (or Idempotency-Key) is accepted once; a repeated request returns the runs of the first.
    """
    if caller.customer_id is not None and request.customer_id not in (None, caller.customer_id):
        raise WorkflowNotFound("not found for this API key")
    customer_id = caller.customer_id or request.customer_id or caller.creates_for
    address = None
    if request.key is not None:
        ((key, value),) = request.key.items()
        address = Address(key, str(value), request.keep_seconds)
    event_id = request.id or idempotency_key
    delivery = await services.events.accept(customer_id, request.name, request.data, event_id, address)
    note_change(target=delivery.id, customer_id=customer_id, event=request.name)
    return make_delivery_view(delivery)


@router.get("/deliveries", operation_id="listDeliveries", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_deliveries(
    services: ServicesDep,
    caller: Reader,
    kind: Annotated[Literal["event", "webhook", "start"] | None, Query(description="What was received.")] = None,
    outcome: Annotated[
        Literal["accepted", "paused", "duplicate", "rejected"] | None, Query(description="Its outcome.")
    ] = None,
    workflow_id: Annotated[
        str | None,
        Query(pattern=PLAIN, max_length=200, description="Only those that started this workflow, or are to."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryView]:
    """List the events, webhook requests and starts of the last 90 days, newest first, with their outcome."""
    rows = await services.events.list_deliveries(
        caller.customer_id,
        kind=kind,
        outcome=outcome,
        workflow_id=workflow_id,
        after=decode_cursor(cursor, datetime, str),
        limit=limit + 1,
    )
    page, next_cursor = cut_page(rows, limit, lambda delivery: (delivery.received_at, delivery.id))
    return Page(items=[make_delivery_view(each) for each in page], next_cursor=next_cursor)


@router.get(
    "/deliveries/{delivery_id}", operation_id="getDelivery", responses=describe_problems(401, 403, 404, 422, 429, 503)
)
async def get_delivery(delivery_id: DeliveryId, services: ServicesDep, caller: Reader) -> DeliveryView:
    """Return a delivery."""
    return make_delivery_view(await services.events.get_delivery(caller.customer_id, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/redrive",
    operation_id="redriveDelivery",
    status_code=202,
    responses=describe_problems(401, 403, 404, 409, 422, 429, 503),
)
async def redrive_delivery(delivery_id: DeliveryId, services: ServicesDep, caller: Runner) -> DeliveryView:
    """Process an event or a webhook request again, with the workflows that are active now.

    A delivery that waits for a paused workflow starts what it has not started yet, once its workflow is active.
    """
    delivery = await services.events.redrive(caller.customer_id, delivery_id)
    note_change(customer_id=delivery.customer_id)
    return make_delivery_view(delivery)


@router.post(
    "/deliveries/redrive",
    operation_id="redrivePausedDeliveries",
    status_code=202,
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def redrive_paused_deliveries(request: ReleaseRequest, services: ServicesDep, caller: Runner) -> ReleaseResponse:
    """Start what was received for a workflow while it was paused, once it is active again. Each starts once."""
    released = await services.events.release_paused(
        caller.customer_id, request.workflow_id, since=request.received_after, until=request.received_before
    )
    note_change(target=request.workflow_id, released=released)
    return ReleaseResponse(released=released)


@dataclass(frozen=True, slots=True)
class _HttpGate:
    """The access rules and limits of the API, for webhooks."""

    request: Request
    services: Services
    max_body_bytes: int

    async def require_local(self) -> None:
        await require_local_caller(self.request, self.services)

    async def count(self, bucket: str) -> None:
        await self.request.app.state.limits.count(bucket)

    async def read_body(self, limit: int) -> bytes:
        parts, size = [], int(self.request.headers.get("content-length", 0))
        if size > limit:
            raise BodyTooLarge(limit)
        size = 0
        async for part in self.request.stream():
            size += len(part)
            if size > limit:
                raise BodyTooLarge(limit)
            parts.append(part)
        return b"".join(parts)


async def handle_webhook(
    customer: Annotated[str, Path(description="Customer ID; `default` without customers.")],
    path: Annotated[str, Path(description="Webhook path of the workflow.")],
    request: Request,
    services: ServicesDep,
) -> Response:
    """Start the workflow of this webhook, or resume the run that waits for it."""
    if any(ord(letter) < 32 for letter in customer + path):
        raise WorkflowNotFound("no active workflow has this webhook path")
    gate = _HttpGate(request, services, services.settings.max_body_bytes)
    answer = await services.webhooks.handle(_describe_request(request, customer, path.strip("/")), gate)
    if answer.response is not None:
        response = Response(answer.response.body, answer.response.status)
        for name, value in (*answer.response.headers, ("Content-Security-Policy", SANDBOX)):
            response.headers[name] = value
        return response
    start = answer.delivery.starts[0] if answer.delivery.starts else None
    body = WebhookResponse(
        delivery_id=answer.delivery.id,
        run_id=start and start.run_id,
        state=start.state if start else FILTERED,
        duplicate=answer.delivery.outcome == DUPLICATE,
    )
    return JSONResponse(body.model_dump(), 202)


for _method in METHODS:
    router.add_api_route(
        "/hooks/{customer}/{path:path}",
        handle_webhook,
        methods=[_method],
        operation_id=f"webhook{_method.title()}",
        response_class=JSONResponse,
        responses={
            200: {"description": "The output of the run, with `respond: output`; any status with another `respond`."},
            202: {"model": WebhookResponse, "description": "The request was accepted."},
            **describe_problems(400, 401, 404, 405, 409, 413, 415, 422, 429, 502, 503),
        },
    )


def _describe_request(request: Request, customer_id: str, path: str) -> WebhookRequest:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), []).append(value)
    return WebhookRequest(
        customer_id=customer_id,
        method=request.method,
        path=path,
        headers={name: ", ".join(values) for name, values in headers.items()},
        query_string=request.scope["query_string"],
    )
