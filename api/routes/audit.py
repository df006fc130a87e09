"""Read the audit log."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.access import Reader
from api.fields import LINE, UtcTime
from api.json_bodies import StrictRoute
from api.models.audit import AuditView, make_audit_view
from api.paging import Cursor, Limit, Page, cut_page, decode_cursor
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.store.audit import AuditFilter

router = APIRouter(tags=["audit"], route_class=StrictRoute)


@router.get("/audit", operation_id="listAudit", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_audit(
    services: ServicesDep,
    caller: Reader,
    actor: Annotated[str | None, Query(pattern=LINE, max_length=200, description="Name of the API key.")] = None,
    operation: Annotated[
        str | None, Query(pattern=LINE, max_length=100, description="ID of the operation, such as `cancelRun`.")
    ] = None,
    target: Annotated[
        str | None, Query(pattern=LINE, max_length=500, description="ID of the workflow, run, key or delivery.")
    ] = None,
    since: Annotated[UtcTime | None, Query(description="Changes at or after this time (RFC 3339).")] = None,
    until: Annotated[UtcTime | None, Query(description="Changes before this time (RFC 3339).")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditView]:
    """List the changes that people and programs have made, newest first: who, what, when, and from where."""
    rows = await services.audit.list_entries(
        caller.customer_id,
        AuditFilter(actor, operation, target, since, until),
        after=decode_cursor(cursor, datetime, str),
        limit=limit + 1,
    )
    page, next_cursor = cut_page(rows, limit, lambda entry: (entry.at, entry.id))
    return Page(items=[make_audit_view(each) for each in page], next_cursor=next_cursor)
