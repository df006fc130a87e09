"""Operators' hands on a run in progress: pause it, resolve a failed step, repair what is to come, move it."""

from fastapi import APIRouter, Response

from api.access import Caller, Runner
from api.audit import note_change
from api.fields import RunId
from api.json_bodies import StrictRoute
from api.models.interventions import InterventionRequest, MigrateRequest, MigrationView, make_migration_view
from api.models.runs import PauseRequest, ResolvedStep, ResolveRequest
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.model.run import Intervention

router = APIRouter(tags=["runs"], route_class=StrictRoute)
SENT = describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503)
REPLACING_HINT = "{} replaces values of the run, which may send a secret of the workflow elsewhere; leave it out"


@router.post("/runs/{run_id}/pause", operation_id="pauseRun", status_code=202, responses=SENT)
async def pause_run(run_id: RunId, services: ServicesDep, caller: Runner, request: PauseRequest | None = None) -> None:
    """Pause a run before its next node; refused where it is known to be paused (409)."""
    reason = request.reason if request else ""
    note_change(reason=reason)
    await services.operations.pause(caller.customer_id, run_id, reason, by=caller.name)


@router.post("/runs/{run_id}/resume", operation_id="resumeRun", status_code=202, responses=SENT)
async def resume_run(run_id: RunId, services: ServicesDep, caller: Runner, request: PauseRequest | None = None) -> None:
    """Resume a paused run."""
    reason = request.reason if request else ""
    note_change(reason=reason)
    await services.operations.resume(caller.customer_id, run_id, reason, by=caller.name)


@router.post("/runs/{run_id}/resolve", operation_id="resolveStep", responses=SENT)
async def resolve_step(run_id: RunId, request: ResolveRequest, services: ServicesDep, caller: Runner) -> ResolvedStep:
    """Resolve a step that is waiting for an operator.

    `parameters` and `value` need the scope `edit`, too: another URL sends the secrets of the step elsewhere.
    """
    require_edit(caller, {"parameters": request.parameters is not None, "value": request.value is not None})
    step_id = await services.operations.resolve(
        caller.customer_id,
        run_id,
        request.step_id or request.node_id or "",
        request.action,
        parameters=request.parameters,
        value=request.value,
        target=request.target,
        reason=request.reason,
        by=caller.name,
    )
    note_change(step_id=step_id, action=request.action, reason=request.reason)
    return ResolvedStep(step_id=step_id)


@router.post("/runs/{run_id}/interventions", operation_id="repairRun", responses=SENT)
async def repair_run(
    run_id: RunId, request: InterventionRequest, services: ServicesDep, caller: Runner
) -> Intervention:
    """Change a run that is paused or waits: its variables, a step that waits, or one that is yet to come.

    Refused, with nothing changed, where the run is at work or the step cannot take it (409), and where no worker
    answers within five seconds (503): then it is not done later either. The run records it in `interventions`.

    `set_variables`, `set_parameters` and `set_result` need the scope `edit`, too: they replace values of the run.
    """
    body = request.model_dump(exclude_unset=True)
    require_edit(caller, {name: name in body for name in ("variables", "parameters", "result")})
    done = await services.operations.repair(caller.customer_id, run_id, body, by=caller.name)
    note_change(kind=done.kind, step_id=done.step_id, node_id=done.node_id, names=done.names, reason=done.reason)
    return done


@router.post(
    "/runs/{run_id}/migrate",
    operation_id="migrateRun",
    status_code=202,
    response_model=Intervention | MigrationView,
    responses={200: {"model": MigrationView, "description": "What a dry run would do."}, **SENT},
)
async def migrate_run(
    run_id: RunId, request: MigrateRequest, services: ServicesDep, caller: Runner, response: Response
) -> Intervention | MigrationView:
    """Move a run in progress to another version of its workflow, at its next node boundary.

    What is done stays done, delays and waits keep their ends, and early events, variables and compensations are kept.
    Refused with all reasons, and with nothing changed, where the run as it is does not fit the version (409), and where
    no worker answers within five seconds (503): then it does not move later either. The run records the move in
    `interventions`; `moving_to` shows it until it is done. A dry run needs no worker.
    """
    migrations, version, renamed = services.migrations, request.version, request.map
    note_change(version=version, map=renamed or None, reason=request.reason, dry_run=request.dry_run or None)
    if request.dry_run:
        response.status_code = 200
        return make_migration_view(await migrations.preview(caller.customer_id, run_id, version, renamed))
    return await migrations.start(caller.customer_id, run_id, version, renamed, reason=request.reason, by=caller.name)


def require_edit(caller: Caller, replaced: dict[str, bool]) -> None:
    """Raise Forbidden where a request replaces values in the middle of a run, as only an edit of the workflow may."""
    for name, is_sent in replaced.items():
        if is_sent:
            caller.require_scope("edit", REPLACING_HINT.format(f"`{name}`"))
