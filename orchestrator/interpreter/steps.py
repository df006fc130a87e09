"""Run one node that may wait or fail, and do what its `on_error` says (SPEC §6). Replay-sensitive."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_never

from orchestrator.errors import StepFailed
from orchestrator.interpreter.actions import act
from orchestrator.interpreter.base import NodeRun
from orchestrator.interpreter.calls import call
from orchestrator.interpreter.compensation import notify, record_compensation, undo_inner_scopes
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.deadline import DeadlineExceeded, run_until
from orchestrator.interpreter.effects import Resolution
from orchestrator.interpreter.failures import KNOWN_ERRORS, Rewind, build_error_document, to_step_failure
from orchestrator.interpreter.leaf_frames import BusyNode, OperatorFrame
from orchestrator.interpreter.loops import run_loop
from orchestrator.interpreter.parallels import run_parallel
from orchestrator.interpreter.pool import is_cancelled
from orchestrator.interpreter.pure_nodes import NEXT, Closed, Exit, run_pure
from orchestrator.interpreter.repairs import Repair
from orchestrator.interpreter.waits import delay, set_outcome, wait
from orchestrator.model.plan import (
    Action,
    Call,
    Condition,
    Delay,
    End,
    Fallback,
    Loop,
    Parallel,
    Pause,
    RetryFrom,
    Set,
    Skip,
    Start,
    Switch,
    Wait,
)


async def run_node(run: NodeRun) -> Exit | Closed | None:
    """Run the node until it is left; raise StepFailed when it fails the scope."""
    frame = run.scope.frame
    edits: list[dict[str, Any]] = []
    if isinstance(frame.open, OperatorFrame):
        edits, inner_path = frame.open.edits, run.step.inner_path
        handled = await _wait_for_operator(run, frame.open.build_failure(), edits)
        await undo_inner_scopes(run, inner_path)
        if handled is not None:
            return handled
    while True:
        try:
            outcome = await _run_within_limit(run, edits)
        except KNOWN_ERRORS as error:
            frame.open = BusyNode(run.step)  # a loop that is tried again starts from its first item
            failure = to_step_failure(error, run.node.id)
            if is_cancelled():  # what failed is recorded; handling it would be a further step
                run.fail(failure)
                raise asyncio.CancelledError from error
            inner_path = run.step.inner_path  # another try has another one
            handled = await _handle_failure(run, failure, edits)
            await undo_inner_scopes(run, inner_path)
            if handled is not None:
                return handled
        else:
            _complete(run)
            return outcome


def end_repaired(run: NodeRun, repair: Repair) -> Exit:
    """End a step as an operator has decided, before it has begun or after it has failed."""
    set_outcome(run.step, repair)
    _complete(run)
    return NEXT


def _complete(run: NodeRun) -> None:
    run.complete()
    # After `complete`, so that the parameters of the compensation can name the step's own result.
    if run.step.status == "completed" and isinstance(run.node, Action | Call) and run.node.compensate is not None:
        record_compensation(run, run.node.compensate)


async def _run_within_limit(run: NodeRun, edits: Sequence[dict[str, Any]]) -> Exit | Closed | None:
    """Run the node within its own `timeout_seconds`; that of an action is for each attempt."""
    work = _run(run, edits)
    limit = run.node.limit_seconds
    if limit is None:
        return await work
    # Not from now: after continue-as-new, a loop runs on with what is left of its time.
    deadline = (run.step.retried_at or run.step.started_at) + timedelta(seconds=limit)
    try:
        return await run_until(run.effects, deadline, f"timeout of {run.node.title}", work)
    except DeadlineExceeded:
        raise StepFailed(
            f"{run.node.title} took longer than timeout_seconds ({limit:g} s)", error_type="timeout_error"
        ) from None


async def _run(run: NodeRun, edits: Sequence[dict[str, Any]]) -> Exit | Closed | None:
    node = run.node
    match node:
        case Action():
            return await act(run, node, edits)
        case Loop():
            return await run_loop(run, node)
        case Parallel():
            return await run_parallel(run, node)
        case Delay():
            return await delay(run, node)
        case Wait():
            return await wait(run, node)
        case Call():
            return await call(run, node)
        case Start() | Condition() | Switch() | Set() | End():
            return run_pure(node, run.step, run.scope.data, run.scope.env, run.interpreter.compiled)
        case _:
            assert_never(node)


async def _handle_failure(run: NodeRun, failure: StepFailed, edits: list[dict[str, Any]]) -> Exit | None:
    """Return how the node is left all the same, or `None` to try again; raise to fail."""
    policy = run.node.on_error
    match policy:
        case None:
            run.fail(failure)
            if not run.node.error_port:
                raise failure
            return Exit("error")
        case Skip():
            return _skip(run, failure)
        case Fallback():
            return _fall_back(run, failure, policy.value, run.interpreter.compiled)
        case RetryFrom():
            return _rewind(run, failure, policy)
        case Pause():
            return await _ask_operator(run, failure, edits)
        case _:
            assert_never(policy)


def _skip(run: NodeRun, failure: StepFailed) -> Exit:
    step = run.step
    step.error = build_error_document(failure, run.effects.now(), run.node.id)
    step.status = "skipped"
    step.output = {"skipped": True}
    run.complete()
    return NEXT


def _fall_back(run: NodeRun, failure: StepFailed, template: object, compiled: Compiled) -> Exit:
    try:
        value = compiled.render(template, run.scope.env)
    except KNOWN_ERRORS as error:
        raise run.fail(to_step_failure(error, run.node.id)) from error
    step = run.step
    step.error = build_error_document(failure, run.effects.now(), run.node.id)
    step.status = "completed"
    step.output = {"fallback": True, "value": value}
    run.complete()
    return NEXT


def _rewind(run: NodeRun, failure: StepFailed, policy: RetryFrom) -> Exit:
    rewinds = run.state.rewinds
    key = f"{run.scope.path}/{run.node.id}"
    count = rewinds.get(key, 0)
    run.fail(failure)
    if count >= policy.max:
        raise failure
    rewinds[key] = count + 1
    raise Rewind(policy.node, failure)


async def _ask_operator(run: NodeRun, failure: StepFailed, edits: list[dict[str, Any]]) -> Exit | None:
    """Notify an operator and wait for a resolution."""
    step = run.step
    step.error = build_error_document(failure, run.effects.now(), run.node.id)
    step.status = "waiting"
    step.waiting_for = {"kind": "operator", "message": failure.message, "error_type": failure.error_type}
    await notify(run)
    if is_cancelled():  # it arrived with the result of the notification, which has absorbed it
        raise asyncio.CancelledError
    run.scope.frame.open = OperatorFrame(step, failure.attempts, edits)
    return await _wait_for_operator(run, failure, edits)


async def _wait_for_operator(run: NodeRun, failure: StepFailed, edits: list[dict[str, Any]]) -> Exit | None:
    """Wait for an operator's resolution; return `None` to try again, with the parameters added to `edits`."""
    step = run.step
    resolution = await run.wait(run.effects.decide(step.id, run.node.id))
    run.scope.frame.open = BusyNode(step)
    step.waiting_for = None
    if isinstance(resolution, Repair):
        if resolution.kind == "set_result":
            step.error = None
            return end_repaired(run, resolution)
        resolution = Resolution("skip" if resolution.kind == "skip_node" else "retry")
    match resolution.action:
        case "retry":
            step.status, step.error = "running", None
            step.retry_count += 1
            step.retried_at = run.effects.now()
            step.operator_retries += 1
            if resolution.parameters:
                edits.append(resolution.parameters)
            return None
        case "skip":
            return _skip(run, failure)
        case "fallback":
            # A compiler of its own: that of the plan remembers sources by identity, and this one will be gone.
            return _fall_back(run, failure, resolution.value, Compiled())
        case "abort":
            raise run.fail(failure)
        case "retry_from":
            run.fail(failure)
            raise Rewind(resolution.node_id or run.node.id, failure)
        case _:
            assert_never(resolution.action)
