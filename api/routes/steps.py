"""List the steps of runs, and sum them up."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from api.access import Reader
from api.fields import RunId
from api.json_bodies import StrictRoute
from api.models.steps import ChosenIterations, Filter, Order, RunOverview, StepPage
from api.paging import Cursor, Limit, decode_cursor, encode_cursor
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.service.overviews import select_steps, summarize_run_steps

router = APIRouter(tags=["runs"], route_class=StrictRoute)
FOUND = describe_problems(401, 403, 404, 422, 429, 503)


@router.get("/runs/{run_id}/steps", operation_id="listSteps", responses=FOUND)
async def list_steps(
    run_id: RunId,
    services: ServicesDep,
    caller: Reader,
    wanted: Filter,
    order: Order = "oldest",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> StepPage:
    """List the steps of a run so far, in the order in which they started, or the newest first."""
    run = await services.operations.get_document(caller.customer_id, run_id)
    after = (decode_cursor(cursor, int) or [None])[0]
    steps, last = select_steps(run, wanted, order, after, limit)
    next_cursor = None if last is None else encode_cursor(last)
    return StepPage(items=steps, next_cursor=next_cursor, complete=run.complete)


@router.get("/runs/{run_id}/overview", operation_id="getRunOverview", responses=FOUND)
async def get_run_overview(
    run_id: RunId,
    services: ServicesDep,
    caller: Reader,
    iterations: ChosenIterations,
    steps: Annotated[int, Query(ge=0, le=500, description="Number of the newest steps to list.")] = 100,
) -> RunOverview:
    """Return a run with its steps summed up: by node, by iteration, and the newest ones without their data.

    Its size depends on the graph, not on the number of steps: read this, not the run document, of runs that are long.
    """
    run = await services.operations.get_document(caller.customer_id, run_id)
    overview = await asyncio.to_thread(summarize_run_steps, run, iterations, steps)
    return RunOverview(
        run=run.model_copy(update={"steps": []}),
        steps_stored=len(run.steps),
        steps=overview.newest,
        next_cursor=None if overview.last is None else encode_cursor(overview.last),
        nodes=overview.nodes,
        passes=overview.passes,
    )
