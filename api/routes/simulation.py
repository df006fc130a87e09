"""Run a definition in memory."""

from fastapi import APIRouter

from api.access import Reader
from api.json_bodies import StrictRoute
from api.models.simulation import SimulationRequest
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.model.run import Run
from orchestrator.simulator import simulate

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)


@router.post(
    "/simulate", operation_id="simulateWorkflow", responses=describe_problems(400, 401, 403, 404, 413, 422, 429, 503)
)
async def simulate_workflow(request: SimulationRequest, services: ServicesDep, caller: Reader) -> Run:
    """Run a definition in memory, on a virtual clock, with mocks for its actions: nothing is called or saved.

    A run that waits for an event that is not among `events` ends as `waiting`.
    """
    plan = await services.plans.make(caller.creates_for, request.definition)
    await services.plans.require_valid_input(plan, request.input)
    mocks = request.model_dump(include={"actions"}, exclude_unset=True)
    return await services.plans.call(
        caller.creates_for,
        simulate,
        plan,
        input=request.input,
        actions=mocks.get("actions", {}),
        events=[event.model_dump() for event in request.events],
    )
