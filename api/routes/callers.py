"""List the callers of workflows."""

from fastapi import APIRouter

from api.access import Reader
from api.fields import WorkflowId
from api.json_bodies import StrictRoute
from api.models.workflows import CallersView, CallingWorkflow
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.service.services import Services
from orchestrator.store.records import Stored

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)


@router.get(
    "/{workflow_id}/callers", operation_id="listCallers", responses=describe_problems(401, 403, 404, 422, 429, 503)
)
async def list_callers(workflow_id: WorkflowId, services: ServicesDep, caller: Reader) -> CallersView:
    """List the workflows that call this one, with the version of it that they run: that of when they were published."""
    stored = await services.workflows.get(caller.customer_id, workflow_id)
    callers = await list_calling(services, stored)
    return CallersView(workflow_id=stored.id, version=stored.version, callers=callers)


async def list_calling(services: Services, stored: Stored) -> list[CallingWorkflow]:
    """Return the workflows that call one, with the version of it that they hold."""
    return [
        CallingWorkflow(
            workflow_id=each.workflow_id,
            version=each.version,
            holds=each.holds.version,
            pinned=each.holds.pinned,
            latest=each.holds.latest,
            outdated=not each.holds.is_named and each.holds.version != stored.version,
        )
        for each in await services.workflows.list_callers(stored)
    ]
