"""Actions outside the flow: undo what was done, and notify an operator. Replay-sensitive."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.actions import accept_result
from orchestrator.interpreter.base import Interpreter, NodeRun, take_warnings
from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.interpreter.failures import KNOWN_ERRORS, build_error_document, to_step_failure
from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.interpreter.pool import wait_for_ends
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.variables import Data
from orchestrator.model.plan import ActionCall, Loop, Parallel


def record_compensation(run: NodeRun, call: ActionCall) -> None:
    """Record what undoes a completed step, with its parameters as they are now."""
    if run.plan.compensate == "never":
        return
    parameters: Any = None
    secrets: dict[str, list[Any]] = {}
    error = None
    try:
        parameters, secrets = run.interpreter.compiled.parameters(call.config, run.scope.env)
    except KNOWN_ERRORS as problem:
        # Kept for later: the step has taken effect, and failing it here would lose its result.
        error = str(problem)
    take_warnings(run.scope, run.step)
    run.state.compensations.append(
        PendingCompensation(
            step_id=f"{run.step.id}/compensate",
            node_id=run.node.id,
            path=run.step.path,
            title=f"undo {run.node.title}",
            action=call.action,
            retry=call.retry,
            timeout_seconds=call.timeout_seconds,
            parameters=parameters,
            secrets=secrets,
            error=error,
        )
    )


def mark_given_up(state: RunState, scope_path: str) -> None:
    """Mark what an iteration or a branch has done that failed or was cancelled."""
    for index, pending in enumerate(state.compensations):
        if pending.is_in(scope_path) and not pending.given_up:
            state.compensations[index] = replace(pending, given_up=True)


async def undo_scope(run: NodeRun, scope_path: str) -> None:
    """Undo an iteration or a branch of a node that the run continues without."""
    await _undo_apart(run, lambda pending: pending.is_in(scope_path))


async def undo_inner_scopes(run: NodeRun, inner_path: str) -> None:
    """Undo the iterations or branches that failed or were cancelled in a node whose failure is handled."""
    if isinstance(run.node, Loop | Parallel):
        prefix = f"{inner_path}["
        await _undo_apart(run, lambda pending: pending.given_up and pending.path.startswith(prefix))


async def _undo_apart(run: NodeRun, is_wanted: Callable[[PendingCompensation], bool]) -> None:
    """Undo a part of what was done, in a task of its own: a cancellation that comes meanwhile waits for its end."""
    state = run.state
    if run.plan.compensate == "on_cancel" or not any(map(is_wanted, state.compensations)):
        return
    state.ending += 1  # what has been taken off the state must not be lost by continuing as new
    try:
        undoing = asyncio.get_running_loop().create_task(compensate(run.interpreter, is_wanted, run.scope.data))
        await wait_for_ends([undoing])
    finally:
        state.ending -= 1
    undoing.result()


async def compensate(
    interpreter: Interpreter,
    is_wanted: Callable[[PendingCompensation], bool] = lambda pending: True,
    data: Data | None = None,
) -> None:
    """Undo completed steps, the last one first; a compensation that fails is recorded and the rest still run.

    `data` is that of the flow that continues, and may go back to a node before.
    """
    state, effects = interpreter.state, interpreter.effects
    # Taken off first: a compensation that fails is not called a second time.
    while (pending := _take_last(state, is_wanted)) is not None:
        # Without the check against max_steps: a run that failed at this limit is undone, too.
        state.started += 1
        step = Step(pending.step_id, pending.node_id, pending.path, "running", effects.now(), state.started)
        step.input = pending.parameters
        state.log.append(step)
        state.open[step.id] = step
        if data is not None:
            data.count_step(step.number, begun=1)
        try:
            answer = await _undo(interpreter, pending)
            accept_result(step, answer)
        except StepFailed as failure:
            step.error = build_error_document(failure, effects.now(), step.node_id)
            step.retry_count = max(failure.attempts - 1, 0)
            state.close_step(step, "failed", effects.now())
        else:
            step.retry_count = answer.attempts - 1
            state.close_step(step, "completed", effects.now())
        if data is not None:
            data.count_step(step.number, ended=1)


def _take_last(state: RunState, is_wanted: Callable[[PendingCompensation], bool]) -> PendingCompensation | None:
    compensations = state.compensations
    for index in range(len(compensations) - 1, -1, -1):
        if is_wanted(compensations[index]):
            return compensations.pop(index)
    return None


async def _undo(interpreter: Interpreter, pending: PendingCompensation) -> ActionResult:
    if pending.error is not None:
        raise StepFailed(f"the compensation's parameters cannot be rendered: {pending.error}")
    return await interpreter.effects.act(
        ActRequest(
            action=pending.action,
            parameters=pending.parameters,
            secrets=pending.secrets,
            step_id=pending.step_id,
            node_id=pending.node_id,
            title=pending.title,
            idempotency_key=interpreter.make_idempotency_key(pending.step_id),
            retry=pending.retry,
            timeout_seconds=pending.timeout_seconds,
            task_queue=interpreter.plan.task_queue,
        )
    )


async def notify(run: NodeRun) -> None:
    """Notify an operator that a step waits for a resolution; a failed notification is only a warning on the step."""
    call, step, node = run.plan.notify, run.step, run.node
    if call is None:
        return
    context = {
        **run.scope.data.context,
        "error": step.error and step.error.to_json(),
        "step": {"id": step.id, "node_id": node.id, "name": node.title},
    }
    # Each pause of a step has a key of its own: a second failure must not hide behind the first one's.
    call_id = f"{step.id}/notify~{step.retry_count}"
    try:
        parameters, secrets = run.interpreter.compiled.parameters(call.config, run.interpreter.make_env(context))
        await run.effects.act(
            ActRequest(
                action=call.action,
                parameters=parameters,
                secrets=secrets,
                step_id=call_id,
                node_id=node.id,
                title=f"notify: {node.title}",
                idempotency_key=run.interpreter.make_idempotency_key(call_id),
                retry=call.retry,
                timeout_seconds=call.timeout_seconds,
                task_queue=run.plan.task_queue,
            )
        )
    except KNOWN_ERRORS as error:
        step.warnings += (f"the notification failed: {to_step_failure(error, node.id).message}",)
