"""Judge a version of a workflow by its real runs."""

from fastapi import APIRouter

from api.access import Reader
from api.fields import WorkflowId
from api.json_bodies import StrictRoute
from api.models.simulation import RegressionRequest
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.service.regressions import Regression

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)


@router.post(
    "/{workflow_id}/regress",
    operation_id="regressWorkflow",
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def regress_workflow(
    workflow_id: WorkflowId, request: RegressionRequest, services: ServicesDep, caller: Reader
) -> Regression:
    """Return what a version would have done with the last runs of its workflow. Nothing is called or started.

    It is run in memory with their input, trigger data and events, and the results of their steps.
    """
    return await services.regressions.judge(caller.customer_id, workflow_id, request.version, request.last)
