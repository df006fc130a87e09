"""Actions outside the flow: undoing what was done, and telling an operator. Replay-sensitive."""

from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.interpreter.failures import KNOWN_ERRORS, build_error_document, to_step_failure
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Action, ActionCall, Node, Retry


def record_compensation(machine: Machine, node: Action, call: ActionCall, step: Step, place: Place) -> None:
    """Note what would undo a completed step, with its parameters as they are now."""
    if machine.plan.compensate == "never":
        return
    owed: dict[str, Any] = {
        "step_id": f"{step.id}/compensate",
        "node_id": node.id,
        "path": step.path,
        "title": f"undo {node.title}",
        "action": call.action,
        "retry": call.retry.model_dump(mode="json", exclude_defaults=True),
        "timeout_seconds": call.timeout_seconds,
    }
    try:
        owed["parameters"], owed["secrets"] = machine.compiled.parameters(call.config, place.env)
    except KNOWN_ERRORS as error:
        owed["error"] = str(error)
    machine.state.compensations.append(owed)


async def compensate(machine: Machine) -> None:
    """Undo, last completed first; what fails is recorded and does not stop the rest."""
    state = machine.state
    while state.compensations:
        owed = state.compensations.pop()
        state.started += 1
        step = Step(owed["step_id"], owed["node_id"], owed["path"], "running", machine.effects.now(), state.started)
        step.input = owed.get("parameters")
        state.log.append(step)
        state.open[step.id] = step
        try:
            acted = await _undo(machine, owed)
            step.output = acted.result if isinstance(acted.result, dict) else {"result": acted.result}
            step.retry_count = acted.attempts - 1
            step.status = "completed"
        except StepFailed as failure:
            step.status = "failed"
            step.error = build_error_document(failure, machine.effects.now(), step.node_id)
        _close(state, step, machine)


def _close(state: RunState, step: Step, machine: Machine) -> None:
    step.completed_at = machine.effects.now()
    state.open.pop(step.id, None)
    state.completed += 1


async def _undo(machine: Machine, owed: dict[str, Any]) -> ActionResult:
    if "error" in owed:
        raise StepFailed(f"the compensation's parameters could not be computed: {owed['error']}")
    return await machine.effects.act(
        ActRequest(
            action=owed["action"],
            parameters=owed["parameters"],
            secrets=owed["secrets"],
            step_id=owed["step_id"],
            node_id=owed["node_id"],
            title=owed["title"],
            idempotency_key=machine.key(owed["step_id"]),
            retry=Retry.model_validate(owed["retry"]),
            timeout_seconds=owed["timeout_seconds"],
            task_queue=machine.plan.task_queue,
        )
    )


async def notify(machine: Machine, node: Node, step: Step, place: Place) -> None:
    """Tell an operator that a step waits for a word; that this fails is a warning on the step, no more."""
    call = machine.plan.notify
    if call is None:
        return
    context = {
        **place.data.context,
        "error": step.error and step.error.to_json(),
        "step": {"id": step.id, "node_id": node.id, "name": node.title},
    }
    # Each pause of a step is told: another failure must not hide behind the first one's key.
    call_id = f"{step.id}/notify~{step.retry_count}"
    shown = machine.place(place.path, type(place.data)(context), resumable=False)
    try:
        parameters, secrets = machine.compiled.parameters(call.config, shown.env)
        await machine.effects.act(
            ActRequest(
                action=call.action,
                parameters=parameters,
                secrets=secrets,
                step_id=call_id,
                node_id=node.id,
                title=f"notify: {node.title}",
                idempotency_key=machine.key(call_id),
                retry=call.retry,
                timeout_seconds=call.timeout_seconds,
                task_queue=machine.plan.task_queue,
            )
        )
    except KNOWN_ERRORS as error:
        step.warnings += (f"nobody was notified: {to_step_failure(error, node.id).message}",)
