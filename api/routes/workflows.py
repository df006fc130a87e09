"""Definitions: kept, published, paused, archived, drawn."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from api.access import Asker, Editor, Reader, Runner
from api.fields import IfMatch, Version, WorkflowId, etag, revision
from api.json_bodies import StrictRoute
from api.models.workflows import (
    EXAMPLE,
    Backfilled,
    BackfillRequest,
    Judgement,
    RollbackRequest,
    ScheduleView,
    Stats,
    VersionDocument,
    VersionSummary,
    WorkflowDocument,
    problem_view,
)
from api.paging import Cursor, Limit, Page, cut, place
from api.problems import described
from api.services import HouseDep
from orchestrator.drawing.mermaid import graph_json, mermaid
from orchestrator.drawing.svg import svg
from orchestrator.service.services import House
from orchestrator.store.records import Stored
from orchestrator.store.records import Version as Published

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)
EXAMPLES: Any = {"greeting": {"summary": "A workflow that greets", "value": EXAMPLE}}
Definition = Annotated[dict[str, Any], Body(description="See `GET /schema`.", openapi_examples=EXAMPLES)]
ETAG_HEADER: dict[str, Any] = {
    "headers": {"ETag": {"description": "For If-Match.", "schema": {"type": "string"}, "required": True}}
}
CHANGED = {200: ETAG_HEADER, **described(401, 403, 404, 409, 412, 422, 429, 503)}
PICTURE_ONLY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
FOUND = described(401, 403, 404, 422, 429, 503)


async def owner(house: House, asker: Asker, workflow_id: str) -> str:
    """Give whose workflow is meant; an administrator need not say so where only one customer has it."""
    if asker.customer_id is not None:
        return asker.customer_id
    return (await house.workflows.definitions.head(None, workflow_id)).customer_id


async def _meant(house: House, asker: Asker, workflow_id: str, if_match: str | None) -> tuple[str, int | None]:
    """Give whose workflow is changed, and the revision that it must have; raises EditConflict."""
    if if_match is None:
        return await owner(house, asker, workflow_id), None
    found = await house.workflows.definitions.get(asker.customer_id, workflow_id)
    return found.customer_id, revision(if_match, found)


async def _answer(house: House, stored: Stored, response: Response) -> WorkflowDocument:
    response.headers["ETag"] = etag(stored)
    (shown,) = await house.workflows.shown([stored])
    return WorkflowDocument.model_validate(shown)


@router.post(
    "",
    operation_id="createWorkflow",
    status_code=201,
    responses={
        201: {"headers": {**ETAG_HEADER["headers"], "Location": {"schema": {"type": "string"}, "required": True}}},
        **described(400, 401, 403, 404, 409, 413, 422, 429, 503),
    },
)
async def create(definition: Definition, house: HouseDep, asker: Editor, response: Response) -> WorkflowDocument:
    """Keep a new definition, as a draft. One with mistakes is refused, with all of them."""
    stored = await house.workflows.create(asker.creates_for, definition, asker.name)
    response.headers["Location"] = f"/api/v1/workflows/{stored.id}"
    return await _answer(house, stored, response)


@router.get("", operation_id="listWorkflows", responses=described(401, 403, 404, 422, 429, 503))
async def every(
    house: HouseDep,
    asker: Reader,
    status: Annotated[Literal["draft", "active", "paused", "archived"] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[WorkflowDocument]:
    """List definitions by customer and id."""
    found = await house.workflows.definitions.page(
        asker.customer_id, status=status, after=place(cursor, str, str), limit=limit + 1
    )
    shown, following = cut(found, limit, lambda stored: (stored.customer_id, stored.id))
    items = [WorkflowDocument.model_validate(each) for each in await house.workflows.shown(shown)]
    return Page(items=items, next_cursor=following)


@router.post("/validate", operation_id="validateWorkflow", responses=described(400, 401, 403, 404, 413, 422, 429, 503))
async def judge(definition: Definition, house: HouseDep, asker: Reader) -> Judgement:
    """Say everything that is wrong with a definition, without keeping it."""
    verdict = await house.workflows.judge(asker.creates_for, definition)
    return Judgement(valid=verdict.plan is not None, problems=[problem_view(each) for each in verdict.problems])


@router.get("/{workflow_id}", operation_id="getWorkflow", responses={200: ETAG_HEADER, **FOUND})
async def get(workflow_id: WorkflowId, house: HouseDep, asker: Reader, response: Response) -> WorkflowDocument:
    """Give a definition as it is now, published or not."""
    return await _answer(house, await house.workflows.definitions.get(asker.customer_id, workflow_id), response)


@router.put("/{workflow_id}", operation_id="saveWorkflow", responses={**CHANGED, **described(400, 413)})
async def save(
    workflow_id: WorkflowId,
    definition: Definition,
    house: HouseDep,
    asker: Editor,
    response: Response,
    if_match: IfMatch = None,
) -> WorkflowDocument:
    """Change a definition. What is published stays as it is until it is activated again."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    return await _answer(house, await house.workflows.save(customer_id, workflow_id, definition, expected), response)


@router.delete(
    "/{workflow_id}",
    operation_id="deleteWorkflow",
    status_code=204,
    responses=described(401, 403, 404, 412, 422, 429, 503),
)
async def delete(workflow_id: WorkflowId, house: HouseDep, asker: Editor, if_match: IfMatch = None) -> None:
    """Take a definition away, with its versions and its trigger; runs go on."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    await house.workflows.definitions.delete(customer_id, workflow_id, expected)
    await house.reconciler.settle(customer_id, workflow_id)


@router.get("/{workflow_id}/versions", operation_id="listVersions", responses=FOUND)
async def versions(
    workflow_id: WorkflowId, house: HouseDep, asker: Reader, limit: Limit = 50, cursor: Cursor = None
) -> Page[VersionSummary]:
    """List the published versions, the newest first."""
    stored = await house.workflows.definitions.get(asker.customer_id, workflow_id)
    before = (place(cursor, int) or [stored.version + 1])[0]
    found = await house.workflows.definitions.versions(stored.customer_id, workflow_id, before=before, limit=limit + 1)
    shown, following = cut(found, limit, lambda version: (version.version,))
    return Page(items=[_summary(each) for each in shown], next_cursor=following)


@router.get("/{workflow_id}/versions/{version}", operation_id="getVersion", responses=FOUND)
async def version(workflow_id: WorkflowId, version: Version, house: HouseDep, asker: Reader) -> VersionDocument:
    """Give a published version."""
    customer_id = await owner(house, asker, workflow_id)
    found = await house.workflows.definitions.version(customer_id, workflow_id, version)
    return VersionDocument(**_summary(found).model_dump(), definition=found.definition)


def _summary(version: Published) -> VersionSummary:
    return VersionSummary(
        version=version.version,
        published_at=version.published_at,
        published_by=version.published_by,
        copy_of=version.copy_of,
    )


@router.post("/{workflow_id}/activate", operation_id="activateWorkflow", responses=CHANGED)
async def activate(
    workflow_id: WorkflowId, house: HouseDep, asker: Editor, response: Response, if_match: IfMatch = None
) -> WorkflowDocument:
    """Publish what has been edited, and install the trigger."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    stored = await house.workflows.activate(customer_id, workflow_id, expected, asker.name)
    await house.reconciler.settle(customer_id, workflow_id, anew=True)
    return await _answer(house, stored, response)


@router.post("/{workflow_id}/pause", operation_id="pauseWorkflow", responses=CHANGED)
async def pause(
    workflow_id: WorkflowId, house: HouseDep, asker: Editor, response: Response, if_match: IfMatch = None
) -> WorkflowDocument:
    """Let the trigger start nothing until the workflow is activated again."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    stored = await house.workflows.pause(customer_id, workflow_id, expected)
    await house.reconciler.settle(customer_id, workflow_id)
    return await _answer(house, stored, response)


@router.post("/{workflow_id}/archive", operation_id="archiveWorkflow", responses=CHANGED)
async def archive(
    workflow_id: WorkflowId, house: HouseDep, asker: Editor, response: Response, if_match: IfMatch = None
) -> WorkflowDocument:
    """Remove the trigger, and refuse edits and starts; runs go on."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    stored = await house.workflows.archive(customer_id, workflow_id, expected)
    await house.reconciler.settle(customer_id, workflow_id)
    return await _answer(house, stored, response)


@router.post("/{workflow_id}/rollback", operation_id="rollbackWorkflow", responses={**CHANGED, **described(400, 413)})
async def rollback(
    workflow_id: WorkflowId,
    request: RollbackRequest,
    house: HouseDep,
    asker: Editor,
    response: Response,
    if_match: IfMatch = None,
) -> WorkflowDocument:
    """Publish an older version again, as the newest."""
    customer_id, expected = await _meant(house, asker, workflow_id, if_match)
    stored = await house.workflows.rollback(customer_id, workflow_id, request.version, expected, asker.name)
    await house.reconciler.settle(customer_id, workflow_id)
    return await _answer(house, stored, response)


@router.get(
    "/{workflow_id}/graph",
    operation_id="drawWorkflow",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "The graph.",
            "content": {
                "text/vnd.mermaid": {"schema": {"type": "string"}},
                "image/svg+xml": {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/GraphView"}},
            },
        },
        **described(401, 403, 404, 409, 422, 429, 503),
    },
)
async def draw(
    workflow_id: WorkflowId,
    house: HouseDep,
    asker: Reader,
    format: Annotated[Literal["mermaid", "svg", "json"], Query(description="How it is drawn.")] = "mermaid",  # noqa: A002 - SPEC §10
) -> Response:
    """Draw a definition."""
    stored = await house.workflows.definitions.get(asker.customer_id, workflow_id)
    if format == "json":
        return JSONResponse(graph_json(stored.definition))
    text = mermaid(stored.definition)
    if format == "mermaid":
        return Response(text, media_type="text/vnd.mermaid; charset=utf-8")
    # Names of nodes stand in the picture: whatever they hold, nothing in it may run.
    return Response(await svg(text), media_type="image/svg+xml", headers={"Content-Security-Policy": PICTURE_ONLY})


@router.get("/{workflow_id}/stats", operation_id="getWorkflowStats", responses=FOUND)
async def stats(
    workflow_id: WorkflowId,
    house: HouseDep,
    asker: Reader,
    version: Annotated[int | None, Query(ge=0, le=2_147_483_647, description="Runs of this version only.")] = None,
) -> Stats:
    """Tell what the runs of a workflow did; they may be a second behind."""
    stored = await house.workflows.definitions.get(asker.customer_id, workflow_id)
    counted = await house.index.counts(stored.customer_id, [workflow_id], version)
    durations = await house.index.durations(stored.customer_id, workflow_id, version)
    counts = counted.get(workflow_id)
    return Stats(
        workflow_id=workflow_id,
        version=version,
        runs=counts.total if counts else 0,
        by_status=dict(counts.by_status) if counts else {},
        success_rate=counts.success_rate if counts else None,
        last_run_at=counts.last_run_at if counts else None,
        p50_ms=durations["p50_ms"],
        p95_ms=durations["p95_ms"],
    )


@router.get(
    "/{workflow_id}/schedule", operation_id="getSchedule", responses=described(401, 403, 404, 409, 422, 429, 503)
)
async def schedule(
    workflow_id: WorkflowId,
    house: HouseDep,
    asker: Reader,
    count: Annotated[int, Query(ge=1, le=100, description="How many times.")] = 10,
) -> ScheduleView:
    """Say when a workflow starts next by time: as Temporal keeps it, or as it would be."""
    customer_id = await owner(house, asker, workflow_id)
    found = await house.reconciler.times(customer_id, workflow_id, datetime.now(UTC), count)
    return ScheduleView(installed=found.installed, paused=found.paused, next_times=list(found.times))


@router.post(
    "/{workflow_id}/schedule/trigger",
    operation_id="triggerSchedule",
    status_code=202,
    responses=described(401, 403, 404, 409, 422, 429, 503),
)
async def trigger(workflow_id: WorkflowId, house: HouseDep, asker: Runner) -> None:
    """Start a run now, as if its time had come."""
    customer_id = await owner(house, asker, workflow_id)
    await house.reconciler.require(customer_id, workflow_id)
    await house.schedules.trigger(customer_id, workflow_id)


@router.post(
    "/{workflow_id}/schedule/backfill",
    operation_id="backfillSchedule",
    status_code=202,
    responses=described(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def backfill(workflow_id: WorkflowId, span: BackfillRequest, house: HouseDep, asker: Runner) -> Backfilled:
    """Start what would have started in a span of time, both ends included."""
    customer_id = await owner(house, asker, workflow_id)
    return Backfilled(runs=await house.reconciler.backfill(customer_id, workflow_id, span.start_at, span.end_at))
