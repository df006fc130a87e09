"""What operators ask of a flow: pauses as signals, resolutions, repairs and moves as updates. Replay-sensitive.

A validator refuses before anything is recorded, and a handler does all of it in one turn: nothing is half done. An
update that no worker has taken stays with the server and may come later; then its time is over, and it is refused.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from orchestrator.interpreter.effects import Resolution
from orchestrator.interpreter.migration import MigrationRefused, MigrationRequest, plan_migration
from orchestrator.interpreter.repair_requests import (
    PlannedRepair,
    RepairRefused,
    RepairRequest,
    carry_out,
    plan_repair,
    record_intervention,
    require_templates,
)
from orchestrator.model.plan_nodes import collect_node_ids
from orchestrator.model.run import ResolutionAction
from orchestrator.temporal.workflow.flow import Flow, iterate_enclosing_paths

REFUSED = "refused"
"""Error type of a rejected update."""
EXPIRED = "expired"
"""Error type of an update that has come too late: its sender does not wait for it any longer."""


async def pause(flow: Flow, message: Any, *, paused: bool) -> None:
    """Pause or resume a flow; a run records who has done it, a branch gets a copy of the signal."""
    flow.record_signal()
    by = dict(message) if isinstance(message, Mapping) else {}
    if paused != flow.effects.paused and flow.branch is None:
        record_intervention(
            flow.state,
            "pause" if paused else "resume",
            workflow.now(),
            by=str(by.get("by") or ""),
            reason=str(by.get("reason") or ""),
        )
    await flow.effects.pause(paused, by)


def repair(flow: Flow, message: Any) -> dict[str, Any]:
    """Carry out a repair; return it as it is recorded."""
    flow.record_signal()
    try:
        planned = _plan_repair(flow, message)
    except RepairRefused as error:
        raise _refuse(str(error)) from error
    return carry_out(flow.state, flow.effects.repairs, planned, workflow.now())


def require_valid_repair(flow: Flow, message: Any) -> None:
    """Refuse a repair that cannot be carried out."""
    try:
        _plan_repair(flow, message)
    except RepairRefused as error:
        raise _refuse(str(error)) from error
    _require_in_time(message)


def _plan_repair(flow: Flow, message: Any) -> PlannedRepair:
    effects, request = flow.effects, RepairRequest.from_json(message)
    is_at_work = bool(effects.working) and not effects.paused
    planned = plan_repair(flow.plan, flow.state, effects.repairs, request, is_at_work=is_at_work)
    step_id = planned.target and planned.target.step_id
    if step_id in effects.decisions and effects.decisions[step_id].resolution.done():
        raise RepairRefused(f"step {step_id!r} has been resolved")
    return planned


def migrate(flow: Flow, message: Any) -> dict[str, Any]:
    """Move the run to another version at its next node boundary; return what is recorded of it."""
    flow.record_signal()
    request = _read_migration(flow, message)
    flow.plan_move(request)
    return record_intervention(
        flow.state,
        "migrate",
        workflow.now(),
        by=str(message.get("by") or ""),
        reason=str(message.get("reason") or ""),
        version=request.plan.version,
        map=dict(request.renamed),
    )


def require_valid_migration(flow: Flow, message: Any) -> None:
    """Refuse a move of which the run as it is now does not fit the version."""
    _read_migration(flow, message)
    _require_in_time(message)


def _read_migration(flow: Flow, message: Any) -> MigrationRequest:
    if flow.migration is not None:
        raise _refuse(f"the run is about to move to version {flow.migration.plan.version}")
    if flow.state.failure is not None or flow.state.completed_at is not None:
        raise _refuse("the run is ending: rerun it on the other version")
    try:
        request = MigrationRequest.from_json(message)
    except MigrationRefused as error:
        raise _refuse(str(error)) from error
    if problems := plan_migration(flow.plan, flow.state, request, workflow.now()).problems:
        raise _refuse("; ".join(problems))
    return request


def resolve(flow: Flow, resolution: Any) -> dict[str, Any]:
    """Resolve a step that waits for an operator; return its ids."""
    flow.record_signal()
    step_id = _find_waiting_step(flow, resolution)
    decision = flow.effects.decisions[step_id]
    decision.resolution.set_result(
        Resolution(
            resolution["action"], resolution.get("parameters"), resolution.get("value"), resolution.get("target")
        )
    )
    record_intervention(
        flow.state,
        "resolve",
        workflow.now(),
        by=str(resolution.get("by") or ""),
        reason=str(resolution.get("reason") or ""),
        node_id=decision.node_id,
        step_id=step_id,
        path=step_id.rpartition("/")[0],
        action=resolution["action"],
    )
    return {"step_id": step_id, "node_id": decision.node_id}


def require_valid_resolution(flow: Flow, resolution: Any) -> None:
    """Refuse a resolution that cannot be applied."""
    if not isinstance(resolution, Mapping):
        raise _refuse("a resolution is an object: {node_id, action, …}")
    if resolution.get("action") not in get_args(ResolutionAction):
        known = ", ".join(get_args(ResolutionAction))
        raise _refuse(f"unknown action {resolution.get('action')!r}: use one of {known}")
    parameters = resolution.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise _refuse("`parameters` must be an object")
    try:
        require_templates(parameters or {})
    except RepairRefused as error:
        raise _refuse(str(error)) from error
    step_id = _find_waiting_step(flow, resolution)
    if resolution["action"] == "retry_from":
        _check_target(flow, step_id, resolution.get("target"))
    _require_in_time(resolution)


def _find_waiting_step(flow: Flow, resolution: Mapping[str, Any]) -> str:
    """Return the id of the waiting step; raises where none matches, or more than one."""
    decisions = flow.effects.decisions
    wanted = resolution.get("step_id") or resolution.get("node_id")
    # One that is resolved stays in `decisions` until its step has had its turn.
    matching = [
        step_id
        for step_id, decision in decisions.items()
        if wanted in (step_id, decision.node_id)
        and not decision.resolution.done()
        and not flow.effects.repairs.is_requested(step_id)
    ]
    if len(matching) == 1:
        return matching[0]
    if wanted in matching:
        return str(wanted)
    waiting = ", ".join(decisions) or "none"
    if not matching:
        raise _refuse(f"step {wanted!r} is not waiting for an operator (waiting: {waiting})")
    raise _refuse(f"several steps of {wanted!r} are waiting: pass one of {', '.join(sorted(matching))} as step_id")


def _check_target(flow: Flow, step_id: str, target: Any) -> None:
    """Reject a node that the run cannot go back to: it would fail because of an operator's typo."""
    if target not in collect_node_ids(flow.plan):
        raise _refuse(f"unknown node {target!r}")
    keys = [f"{path}/{target}" for path in iterate_enclosing_paths(step_id)]
    if not any(key in data.marked for data in flow.state.iterate_data() for key in keys):
        raise _refuse(f"cannot go back to {target!r}: it did not run before {step_id!r} in the same loop or branch")


def _require_in_time(message: Mapping[str, Any]) -> None:
    expires_at = message.get("expires_at")
    if expires_at is not None and workflow.now() > datetime.fromisoformat(expires_at):
        raise ApplicationError("no worker has taken the request in time", type=EXPIRED, non_retryable=True)


def _refuse(message: str) -> ApplicationError:
    return ApplicationError(message, type=REFUSED, non_retryable=True)
