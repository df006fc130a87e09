"""List the callers of workflows."""

from fastapi import APIRouter

from api.access import Reader
from api.fields import WorkflowId
from api.json_bodies import StrictRoute
from api.models.workflows import CallersView, CallingWorkflow
from api.problems import describe_problems
from api.services import ServicesDep

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)


@router.get(
    "/{workflow_id}/callers", operation_id="listCallers", responses=describe_problems(401, 403, 404, 422, 429, 503)
)
async def list_callers(workflow_id: WorkflowId, services: ServicesDep, caller: Reader) -> CallersView:
    """List the workflows that call this one, with the version of it that they run: that of when they were published."""
    stored, callers = await services.workflows.list_callers(caller.customer_id, workflow_id)
    views = [
        CallingWorkflow(
            workflow_id=each.workflow_id,
            version=each.version,
            holds=each.holds.version,
            pinned=each.holds.pinned,
            outdated=not each.holds.pinned and each.holds.version != stored.version,
        )
        for each in callers
    ]
    return CallersView(workflow_id=stored.id, version=stored.version, callers=views)
