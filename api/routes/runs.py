"""Start, list, read, stream and operate runs."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import JsonValue

from api.access import ADMITTED_KEY, Editor, Reader, Runner, is_still_admitted
from api.audit import note_change, record_start
from api.fields import HEADER_VALUE, LINE, PLAIN, IdempotencyKey, RunId, WorkflowId
from api.json_bodies import StrictRoute
from api.models.runs import (
    AdHocRequest,
    EndRequest,
    ExplanationView,
    RerunRequest,
    RerunView,
    RunStarted,
    RunView,
    StartRequest,
    rerun_view,
)
from api.models.stuck import StuckView
from api.paging import Cursor as PageCursor
from api.paging import Limit, Page, cut_page, decode_cursor
from api.problems import StreamEnded, describe_problems
from api.routes.interventions import require_edit
from api.run_filters import Filter
from api.services import ServicesDep
from api.streams import follow_while, select_steps
from orchestrator.model.run import Run, RunSummary, Status
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.service.services import Services
from orchestrator.store.api_keys import ApiKey
from orchestrator.telemetry.context import log_context
from orchestrator.temporal.client.runs import StartedRun
from orchestrator.temporal.history.stream import MAX_CURSOR, Cursor
from orchestrator.temporal.history.stream_events import StreamEvent

router = APIRouter(tags=["runs"], route_class=StrictRoute)
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=60,
        description="Seconds to wait for the run to end. If it ends in time, the response is the run document.",
    ),
]
EventKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=HEADER_VALUE,
        max_length=255,
        description="At most one event is sent to the run per key: a repeated request changes nothing.",
    ),
]
LOCATION = {"Location": {"schema": {"type": "string"}}}
STARTED: dict[int | str, dict[str, Any]] = {
    200: {"model": Run, "description": "The run ended within `wait`.", "headers": LOCATION},
    202: {
        "model": RunStarted,
        "description": "The run has started and is in progress.",
        "headers": {**LOCATION, "Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}}},
    },
    **describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
}
FOUND = describe_problems(401, 403, 404, 422, 429, 503)
SENT = describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503)


async def _respond_with_run(
    services: Services, started: StartedRun, wait: float, response: Response
) -> RunStarted | Run:
    fields = {"run_id": started.id, "workflow_id": started.workflow_id, "customer_id": started.customer_id}
    note_change(run_id=started.id, customer_id=started.customer_id)
    log_context.set({**log_context.get(), **fields})
    response.headers["Location"] = f"/api/v1/runs/{started.id}"
    if started.duplicate:
        response.headers["Idempotent-Replayed"] = "true"
    if wait:
        ended = await services.operations.wait_for_end(started.id, wait)
        if ended is not None:
            response.status_code = 200
            return ended
    links = services.runs.reader.build_links(started.id)
    return RunStarted(id=started.id, workflow_id=started.workflow_id, duplicate=started.duplicate, links=links)


@router.post(
    "/workflows/{workflow_id}/runs",
    operation_id="startRun",
    status_code=202,
    response_model=RunStarted | Run,
    responses=STARTED,
)
async def start_run(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Runner,
    response: Response,
    request: StartRequest | None = None,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run:
    """Start a run of a workflow: of the latest published version, or of the draft if none is published."""
    wanted = request or StartRequest()
    started = await services.starts.start_workflow(
        caller.customer_id,
        workflow_id,
        wanted.input,
        version=wanted.version,
        key=idempotency_key,
        record=record_start,
    )
    return await _respond_with_run(services, started, wait, response)


@router.post("/runs", operation_id="runDefinition", status_code=202, response_model=RunStarted | Run, responses=STARTED)
async def run_definition(
    request: AdHocRequest,
    services: ServicesDep,
    caller: Editor,
    response: Response,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run:
    """Run a definition without saving it."""
    started = await services.starts.start_definition(
        caller.creates_for,
        request.definition,
        request.input,
        callees=request.callees,
        key=idempotency_key,
        record=record_start,
    )
    return await _respond_with_run(services, started, wait, response)


@router.get("/runs", operation_id="listRuns", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_runs(
    services: ServicesDep,
    caller: Reader,
    wanted: Filter,
    limit: Limit = 50,
    cursor: PageCursor = None,
) -> Page[RunView]:
    """List runs, newest first. The list may lag the run documents by about a second.

    Runs that were started through the same process are in it at once. Whether a run is `pending` or `retrying` may be
    30 seconds old; `as_of` says when the row was true.
    """
    rows = await services.operations.list_runs(
        caller.customer_id,
        wanted,
        after=decode_cursor(cursor, datetime, str),
        limit=limit + 1,
    )
    page, next_cursor = cut_page(rows, limit, lambda run: (run.started_at, run.id))
    return Page(items=[_make_view(each) for each in page], next_cursor=next_cursor)


def _make_view(run: RunSummary) -> RunView:
    return RunView.model_construct(**{name: getattr(run, name) for name in RunSummary.model_fields})


@router.get("/stuck", operation_id="listStuck", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_stuck(services: ServicesDep, caller: Reader) -> StuckView:
    """List what is stuck: queues without workers, failing workflow tasks, and what takes far longer than usual.

    An action is slow from a minute on, if it takes five times as long as in the runs before; a run if it is five times
    as old as 95 % of the runs of its workflow get. A customer sees the queues that its own runs wait for.
    """
    return StuckView.model_validate(await services.stuck.find(caller.customer_id))


@router.get("/runs/{run_id}", operation_id="getRun", responses=FOUND)
async def get_run(run_id: RunId, services: ServicesDep, caller: Reader) -> Run:
    """Return the run document, read from the run itself.

    Where a part of the record is no longer stored, `complete` is false: what could be read is right.
    """
    return await services.operations.get_document(caller.customer_id, run_id)


@router.get("/runs/{run_id}/explain", operation_id="explainRun", responses=FOUND)
async def explain_run(run_id: RunId, services: ServicesDep, caller: Reader) -> ExplanationView:
    """Explain a run: what was decided and why, what was skipped by which rule, why it went on or ended."""
    run, items = await services.operations.explain(caller.customer_id, run_id)
    return ExplanationView(id=run.id, status=run.status, complete=run.complete, items=items)


async def _count_stream(request: Request, _: Reader) -> AsyncIterator[None]:
    """Count the stream until the response has ended."""
    key: ApiKey | None = request.scope[ADMITTED_KEY]
    with request.app.state.streams.count("" if key is None else key.id):
        yield


async def _open_stream(
    request: Request,
    run_id: RunId,
    services: ServicesDep,
    caller: Reader,
    _: Annotated[None, Depends(_count_stream)],
    last_event_id: Annotated[
        str | None,
        Header(max_length=MAX_CURSOR, description="ID of the last event received; the stream continues after it."),
    ] = None,
    tail: Annotated[
        int | None,
        Query(ge=1, le=1000, description="Begin with the last N events; `Last-Event-ID` takes precedence."),
    ] = None,
    node_id: Annotated[
        str | None, Query(pattern=LINE, max_length=300, description="Of `step` events, only those of this node.")
    ] = None,
    status: Annotated[
        list[Status] | None, Query(max_length=8, description="Of `step` events, only those with one of these statuses.")
    ] = None,
) -> AsyncIterator[tuple[str, StreamEvent]]:
    """Open the stream before the response starts; raises StreamEnded if all of it has been read."""
    await services.operations.require(caller.customer_id, run_id)
    cursor = Cursor.parse(last_event_id) if last_event_id else Cursor()
    if cursor.over:
        raise StreamEnded
    reader = services.runs.reader
    stream = reader.follow_tail(run_id, tail) if tail and not last_event_id else await reader.follow(run_id, cursor)
    return follow_while(select_steps(stream, node_id, status or ()), partial(is_still_admitted, request, services))


@router.get(
    "/runs/{run_id}/stream",
    operation_id="streamRun",
    response_class=EventSourceResponse,
    responses={204: {"description": "All events have been read: do not reconnect."}, **FOUND},
)
async def stream_run(
    run_id: RunId, stream: Annotated[AsyncIterator[tuple[str, StreamEvent]], Depends(_open_stream)]
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events of a run from its start, or its last ones (`tail`), until it ends, as server-sent events.

    Events are `run` (start and end), `step` (start and end of an action, timer, branch or called workflow) and
    `signal` (an event, pause, resume, resolution or cancellation). They are read from the Temporal history; no
    worker is needed.
    """
    async for reached, event in stream:
        yield ServerSentEvent(raw_data=event.model_dump_json(), event=event.event, id=reached)


@router.post("/runs/{run_id}/cancel", operation_id="cancelRun", status_code=202, responses=SENT)
async def cancel_run(run_id: RunId, services: ServicesDep, caller: Runner, request: EndRequest | None = None) -> None:
    """Cancel a run: cancel its open steps, run the compensations, then end it as cancelled.

    The run shows who cancelled it (`cancelled_by`, the name of the API key) and why (`cancel_reason`).
    """
    reason = request.reason if request else ""
    note_change(reason=reason)
    await services.operations.cancel(caller.customer_id, run_id, reason, by=caller.name)


@router.post("/runs/{run_id}/terminate", operation_id="terminateRun", status_code=202, responses=SENT)
async def terminate_run(
    run_id: RunId, services: ServicesDep, caller: Runner, request: EndRequest | None = None
) -> None:
    """Terminate a run immediately, without compensations; it shows who did it and why, as after a cancellation."""
    reason = request.reason if request else ""
    note_change(reason=reason)
    await services.operations.terminate(caller.customer_id, run_id, reason, by=caller.name)


@router.post(
    "/runs/{run_id}/rerun",
    operation_id="rerunRun",
    status_code=202,
    response_model=RunStarted | Run | RerunView,
    responses={
        **STARTED,
        200: {"model": Run | RerunView, "description": "The run ended within `wait`, or the plan of a dry run."},
    },
)
async def rerun_run(
    run_id: RunId,
    services: ServicesDep,
    caller: Runner,
    response: Response,
    request: RerunRequest | None = None,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted | Run | RerunView:
    """Start a new run from a step of a run that has ended, at any depth: what is done stays done.

    `input` and `variables` need the scope `edit`, too: no node before has checked them.
    """
    wanted = request or RerunRequest()
    require_edit(caller, {"input": "input" in wanted.model_fields_set, "variables": bool(wanted.variables)})
    target = Target(wanted.from_node, wanted.path, wanted.failed_items)
    changes = Changes(target, (wanted.input,) if "input" in wanted.model_fields_set else None, wanted.variables)
    if wanted.dry_run:
        note_change(dry_run=True)
        plan = await services.reruns.plan(caller.customer_id, run_id, changes, wanted.version)
        response.status_code = 200
        return rerun_view(plan)
    note_change(from_node=wanted.from_node, path=wanted.path, failed_items=wanted.failed_items, version=wanted.version)
    started = await services.reruns.start(
        caller.customer_id, run_id, changes, version=wanted.version, key=idempotency_key, record=record_start
    )
    return await _respond_with_run(services, started, wait, response)


@router.post("/runs/{run_id}/events/{name}", operation_id="sendEvent", status_code=202, responses=SENT)
async def send_event(
    run_id: RunId,
    name: Annotated[str, Path(pattern=PLAIN, max_length=200, description="Event name.", examples=["approved"])],
    services: ServicesDep,
    caller: Runner,
    payload: Annotated[JsonValue, Body(description="Payload of the event.", examples=[{"by": "Ada"}])] = None,
    key: Annotated[
        str | None,
        Query(
            min_length=1, max_length=255, pattern=PLAIN, description="Key that a `wait` may ask for beside the name."
        ),
    ] = None,
    idempotency_key: EventKey = None,
) -> None:
    """Send an event to the `wait` nodes of a run. An early event is kept until a node waits for it.

    Refused where no `wait` of its workflow has that name (409), or the payload fits the schema of none (422).
    """
    note_change(event=name)
    once = idempotency_key and f"key {sha256(idempotency_key.encode()).hexdigest()}"
    await services.operations.send_event(
        caller.customer_id, run_id, name, payload, key=once, event_key=key, by=caller.name
    )
