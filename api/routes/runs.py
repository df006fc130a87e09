"""Runs: started, listed, shown, streamed, operated."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import JsonValue

from api.access import Editor, Reader, Runner
from api.fields import PLAIN, IdempotencyKey, RunId, Since, Until, WorkflowId
from api.json_bodies import StrictRoute
from api.models.runs import (
    AdHocRequest,
    Resolved,
    RetryRequest,
    RetryView,
    RunStarted,
    RunView,
    StartRequest,
    StepRequest,
    TerminateRequest,
)
from api.paging import Cursor as PageCursor
from api.paging import Limit, Page, cut, place, written
from api.problems import NothingMore, described
from api.services import HouseDep
from orchestrator.errors import ServerUnavailable
from orchestrator.interpreter.restart import Changes
from orchestrator.model.run import Run, RunSummary, StepDocument
from orchestrator.service.services import House
from orchestrator.telemetry.context import about
from orchestrator.temporal.client.runs import Started
from orchestrator.temporal.history.stream import MAX_CURSOR, Cursor, follow

router = APIRouter(tags=["runs"], route_class=StrictRoute)
Wait = Annotated[
    float, Query(ge=0, le=60, description="Seconds to wait for the run's end; then it is answered as it has ended.")
]
LOCATION = {"Location": {"schema": {"type": "string"}}}
STARTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Run, "description": "The run has ended within `wait`.", "headers": LOCATION},
    202: {
        "model": RunStarted,
        "description": "The run goes on.",
        "headers": {**LOCATION, "Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}}},
    },
    **described(400, 401, 403, 404, 409, 413, 422, 429, 503),
}
FOUND = described(401, 403, 404, 422, 429, 503)
OPERATED = described(401, 403, 404, 409, 422, 429, 503)
SENT = described(400, 401, 403, 404, 409, 413, 422, 429, 503)


async def _started(house: House, started: Started, wait: float, response: Response) -> RunStarted | Run:
    named = {"run_id": started.id, "workflow_id": started.workflow_id, "customer_id": started.customer_id}
    about.set({**about.get(), **named})
    response.headers["Location"] = f"/api/v1/runs/{started.id}"
    if started.duplicate:
        response.headers["Idempotent-Replayed"] = "true"
    if wait:
        ended = await _ended(house, started.id, wait)
        if ended is not None:
            response.status_code = 200
            return ended
    links = house.runs.links(started.id)
    return RunStarted(id=started.id, workflow_id=started.workflow_id, duplicate=started.duplicate, links=links)


async def _ended(house: House, run_id: str, wait: float) -> Run | None:
    try:
        return await house.runs.ended(run_id, wait)
    except ServerUnavailable:  # the run has been started: whoever gets no id would start another
        return None


@router.post(
    "/workflows/{workflow_id}/runs",
    operation_id="startRun",
    status_code=202,
    response_model=RunStarted | Run,
    responses=STARTED,
)
async def start(
    workflow_id: WorkflowId,
    house: HouseDep,
    asker: Runner,
    response: Response,
    request: StartRequest | None = None,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run:
    """Start a workflow: its newest published version, or the draft while there is none."""
    wanted = request or StartRequest()
    started = await house.starts.workflow(
        asker.customer_id, workflow_id, wanted.input, version=wanted.version, key=idempotency_key
    )
    return await _started(house, started, wait, response)


@router.post("/runs", operation_id="runDefinition", status_code=202, response_model=RunStarted | Run, responses=STARTED)
async def run_definition(
    request: AdHocRequest,
    house: HouseDep,
    asker: Editor,
    response: Response,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run:
    """Run a definition without keeping it."""
    started = await house.starts.definition(asker.creates_for, request.definition, request.input, key=idempotency_key)
    return await _started(house, started, wait, response)


@router.get("/runs", operation_id="listRuns", responses=described(401, 403, 404, 422, 429, 503))
async def every(
    house: HouseDep,
    asker: Reader,
    workflow_id: Annotated[str | None, Query(pattern=PLAIN, max_length=200)] = None,
    status: Annotated[
        Literal["running", "completed", "failed", "cancelled"] | None,
        Query(description="`running` is every run that has not ended; what it waits for is in its document."),
    ] = None,
    trigger: Annotated[
        Literal["manual", "schedule", "event", "webhook", "workflow"] | None,
        Query(description="What started it; `workflow` is a call by another run."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: PageCursor = None,
) -> Page[RunView]:
    """List runs, the newest first. It may be a second behind what a run's own document says."""
    found = await house.index.page(
        asker.customer_id,
        workflow_id=workflow_id,
        status=status,
        trigger_type=trigger,
        since=since,
        until=until,
        after=place(cursor, datetime, str),
        limit=limit + 1,
    )
    shown, following = cut(found, limit, lambda run: (run.started_at, run.id))
    return Page(items=[_view(each) for each in shown], next_cursor=following)


def _view(run: RunSummary) -> RunView:
    return RunView.model_construct(**{name: getattr(run, name) for name in RunSummary.model_fields})


@router.get("/runs/{run_id}", operation_id="getRun", responses=FOUND)
async def get(run_id: RunId, house: HouseDep, asker: Reader) -> Run:
    """Give the run document, as the run itself tells it now."""
    return await house.operations.document(asker.customer_id, run_id)


@router.get("/runs/{run_id}/steps", operation_id="listSteps", responses=FOUND)
async def steps(
    run_id: RunId, house: HouseDep, asker: Reader, limit: Limit = 50, cursor: PageCursor = None
) -> Page[StepDocument]:
    """List what has been done so far, in order."""
    found = (await house.operations.document(asker.customer_id, run_id)).steps
    begin = max((place(cursor, int) or [0])[0], 0)
    end = begin + limit
    following = written(end) if end < len(found) else None
    return Page(items=found[begin:end], next_cursor=following)


async def _from_there(
    run_id: RunId,
    house: HouseDep,
    asker: Reader,
    last_event_id: Annotated[
        str | None, Header(max_length=MAX_CURSOR, description="Go on after this event: its `id`.")
    ] = None,
) -> Cursor:
    """Refuse before the stream begins; raises NothingMore where the end has been read."""
    await house.operations.require(asker.customer_id, run_id)
    cursor = Cursor.read(last_event_id) if last_event_id else Cursor()
    if cursor.over:
        raise NothingMore
    if cursor.execution:
        await house.runs.require_execution(run_id, cursor.execution)
    return cursor


@router.get(
    "/runs/{run_id}/stream",
    operation_id="streamRun",
    response_class=EventSourceResponse,
    responses={204: {"description": "The end has been read: do not connect again."}, **FOUND},
)
async def stream(
    run_id: RunId, house: HouseDep, cursor: Annotated[Cursor, Depends(_from_there)]
) -> AsyncIterator[ServerSentEvent]:
    """Send what happens, from the beginning and live, until the run has ended.

    Events are `run` (begun, ended), `step` (an action, timer, branch or called workflow begins or ends) and
    `signal` (an event, a pause, an operator's word). They are read from history: no worker is asked.
    """
    async for reached, news in follow(house.runs.histories, run_id, cursor):
        yield ServerSentEvent(raw_data=news.model_dump_json(), event=news.event, id=reached)


@router.post("/runs/{run_id}/cancel", operation_id="cancelRun", status_code=202, responses=OPERATED)
async def cancel(run_id: RunId, house: HouseDep, asker: Runner) -> None:
    """Ask a run to end: what it does is cancelled, compensations are made, then it is cancelled."""
    await house.operations.cancel(asker.customer_id, run_id)


@router.post("/runs/{run_id}/terminate", operation_id="terminateRun", status_code=202, responses=SENT)
async def terminate(run_id: RunId, house: HouseDep, asker: Runner, request: TerminateRequest | None = None) -> None:
    """End a run at once, without compensations."""
    await house.operations.terminate(asker.customer_id, run_id, request.reason if request else "")


@router.post("/runs/{run_id}/pause", operation_id="pauseRun", status_code=202, responses=OPERATED)
async def pause(run_id: RunId, house: HouseDep, asker: Runner) -> None:
    """Hold a run at its next node."""
    await house.operations.pause(asker.customer_id, run_id)


@router.post("/runs/{run_id}/resume", operation_id="resumeRun", status_code=202, responses=OPERATED)
async def resume(run_id: RunId, house: HouseDep, asker: Runner) -> None:
    """Let a paused run go on."""
    await house.operations.resume(asker.customer_id, run_id)


@router.post(
    "/runs/{run_id}/retry",
    operation_id="retryRun",
    status_code=202,
    response_model=RunStarted | Run | RetryView,
    responses={
        **STARTED,
        200: {"model": Run | RetryView, "description": "The run has ended within `wait`, or what would be done."},
    },
)
async def retry(
    run_id: RunId,
    house: HouseDep,
    asker: Runner,
    response: Response,
    request: RetryRequest | None = None,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run | RetryView:
    """Start a new run that begins at a node of one that has ended, with what was known there."""
    wanted = request or RetryRequest()
    changes = Changes(
        wanted.from_node, (wanted.input,) if "input" in wanted.model_fields_set else None, wanted.variables
    )
    if wanted.dry_run:
        made = await house.retries.plan(asker.customer_id, run_id, changes, wanted.version)
        response.status_code = 200
        return RetryView(from_node=made.from_node, version=made.plan.version, reused=made.reused, again=made.again)
    started = await house.retries.start(asker.customer_id, run_id, changes, version=wanted.version, key=idempotency_key)
    return await _started(house, started, wait, response)


@router.post("/runs/{run_id}/resolve", operation_id="resolveStep", responses=SENT)
async def resolve(run_id: RunId, request: StepRequest, house: HouseDep, asker: Runner) -> Resolved:
    """Say what becomes of a step that waits for an operator."""
    step_id = await house.operations.resolve(
        asker.customer_id,
        run_id,
        request.node_id,
        request.action,
        parameters=request.parameters,
        value=request.value,
        target=request.target,
    )
    return Resolved(step_id=step_id)


@router.post("/runs/{run_id}/events/{name}", operation_id="sendEvent", status_code=202, responses=SENT)
async def send_event(
    run_id: RunId,
    name: Annotated[str, Path(pattern=PLAIN, max_length=200, examples=["approved"])],
    house: HouseDep,
    asker: Runner,
    payload: Annotated[JsonValue, Body(examples=[{"by": "Ada"}])] = None,
) -> None:
    """Send an event to the run's `wait` nodes; one that comes early is kept."""
    await house.operations.send_event(asker.customer_id, run_id, name, payload)
