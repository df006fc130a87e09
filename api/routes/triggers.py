"""What starts runs from outside: events and webhooks, and the ledger of both."""

import base64
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.access import Reader, Runner, local_only
from api.fields import PLAIN, IdempotencyKey
from api.json_bodies import StrictRoute, parsed
from api.models.triggers import DeliveryView, EventRequest, WebhookAnswer, delivery_view
from api.paging import Cursor, Limit, Page, cut, place
from api.problems import described
from api.services import HouseDep
from orchestrator.errors import OperationRefused, OrchestratorError
from orchestrator.planner.trigger_checks import METHODS
from orchestrator.service.webhook_request import BodyUnreadable, Received
from orchestrator.store.deliveries import DUPLICATE, FAILED
from orchestrator.store.workflows import WorkflowNotFound

router = APIRouter(tags=["triggers"], route_class=StrictRoute)
DeliveryId = Annotated[str, Path(pattern=PLAIN, max_length=100, description="Id of an entry of the ledger.")]


@router.post(
    "/events",
    operation_id="sendEventToWorkflows",
    status_code=202,
    responses=described(400, 401, 403, 404, 413, 422, 429, 503),
)
async def event(
    request: EventRequest, house: HouseDep, asker: Runner, idempotency_key: IdempotencyKey = None
) -> DeliveryView:
    """Start every active workflow that waits for this event. Once answered, no start is lost.

    The same `id` (or Idempotency-Key) sent again starts nothing: the answer names the runs of the first time.
    """
    if asker.customer_id is not None and request.customer_id not in (None, asker.customer_id):
        raise WorkflowNotFound("there is nothing here for this key")
    customer_id = asker.customer_id or request.customer_id or asker.creates_for
    taken = await house.events.accept(customer_id, request.name, request.data, request.id or idempotency_key)
    return delivery_view(taken)


@router.get("/deliveries", operation_id="listDeliveries", responses=described(401, 403, 404, 422, 429, 503))
async def deliveries(
    house: HouseDep,
    asker: Reader,
    kind: Annotated[Literal["event", "webhook", "start"] | None, Query()] = None,
    outcome: Annotated[Literal["accepted", "duplicate", "rejected"] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryView]:
    """List what came in to start runs, the newest first, with what became of it; kept for 90 days."""
    found = await house.deliveries.page(
        asker.customer_id, kind=kind, outcome=outcome, after=place(cursor, datetime, str), limit=limit + 1
    )
    shown, following = cut(found, limit, lambda delivery: (delivery.received_at, delivery.id))
    return Page(items=[delivery_view(each) for each in shown], next_cursor=following)


@router.get("/deliveries/{delivery_id}", operation_id="getDelivery", responses=described(401, 403, 404, 422, 429, 503))
async def delivery(delivery_id: DeliveryId, house: HouseDep, asker: Reader) -> DeliveryView:
    """Give an entry of the ledger."""
    return delivery_view(await house.deliveries.get(asker.customer_id, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/redrive",
    operation_id="redriveDelivery",
    status_code=202,
    responses=described(401, 403, 404, 409, 422, 429, 503),
)
async def redrive(delivery_id: DeliveryId, house: HouseDep, asker: Runner) -> DeliveryView:
    """Take an event or a webhook in again, as if it came now: what is subscribed now starts."""
    return delivery_view(await house.events.redrive(asker.customer_id, delivery_id))


async def hook(customer: str, path: str, request: Request, house: HouseDep) -> Response:
    """Start the workflow whose webhook this is, or answer the run that waits for it."""
    if any(ord(letter) < 32 for letter in customer + path):
        raise WorkflowNotFound("no webhook is reached at this address")
    row = await house.webhooks.find(customer, path.strip("/"))
    limits = request.app.state.limits
    if not row.config.get("secret"):
        await local_only(request, house)
    received = await _received(request, path.strip("/"))
    try:
        house.webhooks.admit(row, received)
    except OrchestratorError as error:
        # A stranger's requests count apart: they neither use up the customer's nor fill the ledger.
        await limits.count(f"refused:{customer}")
        await house.webhooks.reject(row, received, error)
        raise
    await limits.count(f"webhooks:{customer}")
    answer = await house.webhooks.receive(row, received)
    start = answer.delivery.starts[0]
    if start.state == FAILED:
        raise OperationRefused(start.reason or "the run could not be started")
    if answer.run is not None:
        if answer.run.status != "completed":
            raise HTTPException(502, f"run {answer.run.id} is {answer.run.status}: {answer.run.error or ''}".strip())
        return JSONResponse(answer.run.output)
    said = WebhookAnswer(
        delivery_id=answer.delivery.id,
        run_id=start.run_id,
        state=start.state,
        duplicate=answer.delivery.outcome == DUPLICATE,
    )
    return JSONResponse(said.model_dump(), 202)


for _method in METHODS:
    router.add_api_route(
        "/hooks/{customer}/{path:path}",
        hook,
        methods=[_method],
        operation_id=f"webhook{_method.title()}",
        response_class=JSONResponse,
        responses={
            200: {"description": "The output of the run, where the webhook answers with it."},
            202: {"model": WebhookAnswer, "description": "It has been taken in."},
            **described(400, 401, 404, 405, 409, 413, 422, 429, 502, 503),
        },
    )


async def _received(request: Request, path: str) -> Received:
    raw = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Received(
        method=request.method,
        path=path,
        headers={name.lower(): ", ".join(request.headers.getlist(name)) for name in request.headers},
        query=_flat(parse_qs(request.url.query, keep_blank_values=True)),
        raw=raw,
        read=lambda: _body(raw, kind),
    )


def _body(raw: bytes, kind: str) -> Any:
    """Read a body by its type: JSON, a form, text; anything else as base64. Raises BodyUnreadable."""
    if not raw:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return parsed(raw)
        except HTTPException as error:
            raise BodyUnreadable(str(error.detail)) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()
    return _flat(parse_qs(text, keep_blank_values=True)) if kind == "application/x-www-form-urlencoded" else text


def _flat(values: dict[str, list[str]]) -> dict[str, Any]:
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
