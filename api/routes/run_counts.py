"""Count runs, for the filters of a list."""

from fastapi import APIRouter

from api.access import Reader
from api.json_bodies import StrictRoute
from api.models.runs import RunCountsView
from api.problems import describe_problems
from api.run_filters import Filter
from api.services import ServicesDep

router = APIRouter(tags=["runs"], route_class=StrictRoute)


@router.get("/runs/counts", operation_id="countRuns", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def count_runs(services: ServicesDep, caller: Reader, wanted: Filter) -> RunCountsView:
    """Count the runs that `GET /runs` lists with these filters: by status, reason, workflow and failure."""
    counts = await services.operations.count_runs(caller.customer_id, wanted)
    return RunCountsView.model_validate(counts, from_attributes=True)
