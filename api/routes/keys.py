"""Create, list, rotate and revoke API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path

from api.access import Admin
from api.audit import note_change
from api.fields import PLAIN
from api.json_bodies import StrictRoute
from api.models.keys import CreatedKey, KeyRequest, KeyView, RotatedKey, RotateRequest, make_key_view
from api.paging import Cursor, Limit, Page, cut_page, decode_cursor
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.store.workflows import WorkflowNotFound

router = APIRouter(prefix="/keys", tags=["keys"], route_class=StrictRoute)
KeyId = Annotated[str, Path(pattern=PLAIN, max_length=100, description="ID of the key.")]


@router.post(
    "", operation_id="createKey", status_code=201, responses=describe_problems(400, 401, 403, 404, 413, 422, 429, 503)
)
async def create_key(request: KeyRequest, services: ServicesDep, caller: Admin) -> CreatedKey:
    """Create an API key. Once the first one exists, every request needs a key."""
    if caller.customer_id is not None and request.customer_id not in (None, caller.customer_id):
        raise WorkflowNotFound("not found for this API key")
    customer_id = caller.customer_id or request.customer_id
    scopes = tuple(dict.fromkeys(request.scopes))
    key, secret = await services.keys.create(customer_id, request.name, scopes, request.expires_at)
    note_change(target=key.id, customer_id=customer_id, name=key.name, scopes=list(scopes))
    return CreatedKey(**make_key_view(key).model_dump(), secret=secret)


@router.get("", operation_id="listKeys", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_keys(services: ServicesDep, caller: Admin, limit: Limit = 50, cursor: Cursor = None) -> Page[KeyView]:
    """List the API keys, oldest first, those that are revoked or expired included."""
    rows = await services.keys.list_keys(
        caller.customer_id, after=decode_cursor(cursor, datetime, str), limit=limit + 1
    )
    page, next_cursor = cut_page(rows, limit, lambda key: (key.created_at, key.id))
    return Page(items=[make_key_view(each) for each in page], next_cursor=next_cursor)


@router.post(
    "/{key_id}/rotate",
    operation_id="rotateKey",
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def rotate_key(
    key_id: KeyId, services: ServicesDep, caller: Admin, request: RotateRequest | None = None
) -> RotatedKey:
    """Replace the secret of a key. The old one stays valid for a while, so that no client fails."""
    until = datetime.now(UTC) + timedelta(seconds=(request or RotateRequest()).grace_seconds)
    note_change(customer_id=await services.keys.find_owner(key_id))
    secret = await services.keys.rotate(key_id, until, caller.customer_id)
    return RotatedKey(id=key_id, secret=secret, former_until=until)


@router.delete(
    "/{key_id}", operation_id="revokeKey", status_code=204, responses=describe_problems(401, 403, 404, 422, 429, 503)
)
async def revoke_key(key_id: KeyId, services: ServicesDep, caller: Admin) -> None:
    """Revoke a key permanently."""
    note_change(customer_id=await services.keys.find_owner(key_id))
    await services.keys.revoke(key_id, caller.customer_id)
