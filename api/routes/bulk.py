"""Operations on many runs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.access import Reader, Runner
from api.audit import note_change
from api.fields import PLAIN
from api.json_bodies import StrictRoute
from api.models.bulk import BulkItemView, BulkPreview, BulkRequest, BulkView, make_bulk_view
from api.models.runs import RunView
from api.paging import Cursor, Limit, Page, cut_page, decode_cursor
from api.problems import describe_problems
from api.services import ServicesDep

router = APIRouter(prefix="/bulk", tags=["runs"], route_class=StrictRoute)
JobId = Annotated[str, Path(pattern=PLAIN, max_length=100, description="ID of the operation.")]
FOUND = describe_problems(401, 403, 404, 422, 429, 503)
MAX_SHOWN = 20


@router.post(
    "",
    operation_id="startBulk",
    status_code=202,
    response_model=BulkView | BulkPreview,
    responses={
        200: {"model": BulkPreview, "description": "What a dry run would do."},
        **describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
    },
)
async def start_bulk(
    request: BulkRequest, services: ServicesDep, caller: Runner, response: Response
) -> BulkView | BulkPreview:
    """Do one operation on all runs of a filter that have started by now, at a pace, in the background.

    It survives crashes, operates each run once, can be followed and stopped. A dry run counts the runs only.
    """
    wanted = request.filter.make_filter()
    note_change(
        operation=request.operation, filter=wanted.to_json(), reason=request.reason, dry_run=request.dry_run or None
    )
    if request.dry_run:
        total, runs = await services.bulk.preview(caller.customer_id, wanted, MAX_SHOWN)
        response.status_code = 200
        rows = [RunView.model_construct(**{name: getattr(run, name) for name in RunView.model_fields}) for run in runs]
        return BulkPreview(total=total, runs=rows)
    job = await services.bulk.start(
        caller.customer_id,
        request.operation,
        wanted,
        request.list_options(),
        actor=caller.name,
        pace=request.pace,
    )
    note_change(target=job.id, customer_id=job.customer_id, total=job.total)
    response.headers["Location"] = f"/api/v1/bulk/{job.id}"
    return make_bulk_view(await services.bulk.get(caller.customer_id, job.id))


@router.get("/{job_id}", operation_id="getBulk", responses=FOUND)
async def get_bulk(job_id: JobId, services: ServicesDep, caller: Reader) -> BulkView:
    """Return an operation on many runs: its progress, and its outcomes, of reruns also how they ended."""
    return make_bulk_view(await services.bulk.get(caller.customer_id, job_id))


@router.get("/{job_id}/items", operation_id="listBulkItems", responses=FOUND)
async def list_bulk_items(
    job_id: JobId,
    services: ServicesDep,
    caller: Reader,
    outcome: Annotated[
        Literal["done", "refused", "unreachable", "failed"] | None, Query(description="Only this outcome.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[BulkItemView]:
    """List what came of each run, by run ID."""
    after = (decode_cursor(cursor, str) or [""])[0]
    rows = await services.bulk.list_items(caller.customer_id, job_id, outcome, after=after, limit=limit + 1)
    page, next_cursor = cut_page(rows, limit, lambda item: (item.run_id,))
    return Page(
        items=[BulkItemView.model_validate(each, from_attributes=True) for each in page], next_cursor=next_cursor
    )


@router.post("/{job_id}/stop", operation_id="stopBulk", status_code=202, responses=FOUND)
async def stop_bulk(job_id: JobId, services: ServicesDep, caller: Runner) -> None:
    """Stop an operation after the runs that are under way."""
    note_change(target=job_id)
    await services.bulk.stop(caller.customer_id, job_id)
