"""Read the schedule of a workflow, and start runs of it by hand."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.access import Reader, Runner
from api.audit import note_change, record_start
from api.fields import WorkflowId
from api.json_bodies import StrictRoute
from api.models.runs import RunStarted
from api.models.schedules import BackfillRequest, BackfillResult, ScheduleView
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.model.run import format_timestamp

router = APIRouter(prefix="/workflows/{workflow_id}/schedule", tags=["workflows"], route_class=StrictRoute)


@router.get(
    "",
    operation_id="getSchedule",
    responses=describe_problems(401, 403, 404, 409, 422, 429, 503),
)
async def get_schedule(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Reader,
    count: Annotated[int, Query(ge=1, le=100, description="Number of fire times.")] = 10,
) -> ScheduleView:
    """Return the next fire times: of the schedule in Temporal, or computed from the definition."""
    schedule = await services.schedules.list_next_times(caller.customer_id, workflow_id, count)
    return ScheduleView(installed=schedule.installed, paused=schedule.paused, next_times=list(schedule.times))


@router.post(
    "/trigger",
    operation_id="triggerSchedule",
    status_code=202,
    responses=describe_problems(401, 403, 404, 409, 422, 429, 503),
)
async def trigger_schedule(
    workflow_id: WorkflowId, services: ServicesDep, caller: Runner, response: Response
) -> RunStarted:
    """Start a run of the schedule now, paused or not."""
    started = await services.schedules.trigger(caller.customer_id, workflow_id, record_start)
    response.headers["Location"] = f"/api/v1/runs/{started.id}"
    return RunStarted(id=started.id, workflow_id=workflow_id, links=services.runs.reader.build_links(started.id))


@router.post(
    "/backfill",
    operation_id="backfillSchedule",
    status_code=202,
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def backfill_schedule(
    workflow_id: WorkflowId, span: BackfillRequest, services: ServicesDep, caller: Runner
) -> BackfillResult:
    """Start a run for every fire time in a time range, both ends included."""
    runs = await services.schedules.backfill(caller.customer_id, workflow_id, span.start_at, span.end_at)
    note_change(start_at=format_timestamp(span.start_at), end_at=format_timestamp(span.end_at))
    return BackfillResult(runs=runs)
