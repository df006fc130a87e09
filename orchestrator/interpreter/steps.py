"""Run one node that may wait or fail, and do what its `on_error` says (SPEC §6). Replay-sensitive."""

from datetime import timedelta
from typing import assert_never

from orchestrator.errors import StepFailed
from orchestrator.interpreter import actions, calls, waits
from orchestrator.interpreter.compensation import notify, record_compensation
from orchestrator.interpreter.deadline import DeadlineExceeded, run_until
from orchestrator.interpreter.effects import Resolution
from orchestrator.interpreter.failures import KNOWN_ERRORS, Rewind, build_error_document, to_step_failure
from orchestrator.interpreter.frames import Frame, Step
from orchestrator.interpreter.loops import run_loop
from orchestrator.interpreter.parallels import run_parallel
from orchestrator.interpreter.pure_nodes import Closed, run_pure
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.model.plan import (
    Action,
    AnyNode,
    Call,
    Condition,
    Delay,
    End,
    Fallback,
    Loop,
    Node,
    Parallel,
    Pause,
    RetryFrom,
    Set,
    Skip,
    Start,
    Switch,
    Wait,
)


async def attempt(
    machine: Machine, node: AnyNode, step: Step, frame: Frame, place: Place, left: list[str]
) -> str | Closed | None:
    """Run the node until it has left by a port; raise StepFailed when it fails the scope."""
    words: list[Resolution] = []
    while True:
        try:
            port = await _timed(machine, node, step, frame, place, left, words)
        except KNOWN_ERRORS as error:
            frame.loop = None
            handled = await _on_failure(machine, node, step, place, to_step_failure(error, node.id))
            if isinstance(handled, str):
                return handled
            words.append(handled)
        else:
            machine.finish(node, step, place)
            if isinstance(node, Action) and node.compensate is not None:
                record_compensation(machine, node, node.compensate, step, place)
            return port


async def _timed(
    machine: Machine,
    node: AnyNode,
    step: Step,
    frame: Frame,
    place: Place,
    left: list[str],
    words: list[Resolution],
) -> str | Closed | None:
    """Run the node within its own `timeout_seconds`; that of an action is for each attempt."""
    work = _run(machine, node, step, frame, place, left, words)
    limit = node.limit_seconds
    if limit is None:
        return await work
    deadline = step.started_at + timedelta(seconds=limit)
    try:
        return await run_until(machine.effects, deadline, f"timeout of {node.title}", work)
    except DeadlineExceeded:
        raise StepFailed(
            f"{node.title} took longer than timeout_seconds ({limit:g} s)", error_type="timeout_error"
        ) from None


async def _run(
    machine: Machine,
    node: AnyNode,
    step: Step,
    frame: Frame,
    place: Place,
    left: list[str],
    words: list[Resolution],
) -> str | Closed | None:
    match node:
        case Action():
            return await actions.act(machine, node, step, place, words)
        case Loop():
            return await run_loop(machine, node, step, frame, place, left)
        case Parallel():
            return await run_parallel(machine, node, step, place, left)
        case Delay():
            return await waits.delay(machine, node, step, place)
        case Wait():
            return await waits.wait(machine, node, step, place)
        case Call():
            return await calls.call(machine, node, step, place)
        case Start() | Condition() | Switch() | Set() | End():
            return run_pure(node, step, place.data, place.env, machine.compiled)
        case _:
            assert_never(node)


async def _on_failure(machine: Machine, node: Node, step: Step, place: Place, failure: StepFailed) -> str | Resolution:
    """Give the port to go on by, or the operator's word to try again; raise to fail."""
    policy = node.on_error
    match policy:
        case None:
            if not node.error_port:
                raise machine.fail(node, step, place, failure)
            machine.fail(node, step, place, failure)
            return "error"
        case Skip():
            return _skip(machine, node, step, place, failure)
        case Fallback():
            return _fall_back(machine, node, step, place, failure, policy.value)
        case RetryFrom():
            return _rewind(machine, node, step, place, failure, policy)
        case Pause():
            return await _ask(machine, node, step, place, failure)
        case _:
            assert_never(policy)


def _skip(machine: Machine, node: Node, step: Step, place: Place, failure: StepFailed) -> str:
    step.error = build_error_document(failure, machine.effects.now(), node.id)
    step.status = "skipped"
    step.output = {"skipped": True}
    machine.finish(node, step, place)
    return "next"


def _fall_back(machine: Machine, node: Node, step: Step, place: Place, failure: StepFailed, template: object) -> str:
    try:
        value = machine.compiled.render(template, place.env)
    except KNOWN_ERRORS as error:
        raise machine.fail(node, step, place, to_step_failure(error, node.id)) from error
    step.error = build_error_document(failure, machine.effects.now(), node.id)
    step.status = "completed"
    step.output = {"fallback": True, "value": value}
    machine.finish(node, step, place)
    return "next"


def _rewind(machine: Machine, node: Node, step: Step, place: Place, failure: StepFailed, policy: RetryFrom) -> str:
    key = f"{place.path}/{node.id}"
    count = machine.state.rewinds.get(key, 0)
    machine.fail(node, step, place, failure)
    if count >= policy.max:
        raise failure
    machine.state.rewinds[key] = count + 1
    raise Rewind(policy.node, failure)


async def _ask(machine: Machine, node: Node, step: Step, place: Place, failure: StepFailed) -> str | Resolution:
    """Wait for an operator's word."""
    step.error = build_error_document(failure, machine.effects.now(), node.id)
    step.retry_count += max(failure.attempts - 1, 0)
    step.status = "waiting"
    step.waiting_for = {"kind": "operator", "message": failure.message, "error_type": failure.error_type}
    await notify(machine, node, step, place)
    word = await machine.effects.decide(step.id, node.id)
    step.waiting_for = None
    match word.action:
        case "retry":
            step.status, step.error = "running", None
            step.retry_count += 1
            return word
        case "skip":
            return _skip(machine, node, step, place, failure)
        case "fallback":
            return _fall_back(machine, node, step, place, failure, word.value)
        case "abort":
            raise machine.fail(node, step, place, failure)
        case "retry_from":
            machine.fail(node, step, place, failure)
            raise Rewind(word.node_id or node.id, failure)
        case _:
            assert_never(word.action)
