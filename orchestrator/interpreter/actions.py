"""The nodes that need something from outside: act, delay, wait, call. Replay-sensitive."""

from datetime import timedelta
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import MAX_DELAY_SECONDS, moment, number
from orchestrator.interpreter.effects import ActRequest, CallRequest, Resolution
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.jsontools import schema
from orchestrator.model.plan import Action, Call, Delay, Loop, Parallel, Plan, Scope, Wait
from orchestrator.model.run import Step, timestamp
from orchestrator.timing.cron import next_fire


async def act(machine: Machine, node: Action, step: Step, place: Place, words: list[Resolution]) -> str:
    """Call the node's action."""
    parameters, secrets = machine.compiled.parameters(node.config, place.env)
    edits = [word.parameters for word in words if word.parameters]
    for edit in edits:
        parameters = {**parameters, **edit}
        secrets = {at: parts for at, parts in secrets.items() if _first_key(at) not in edit}
    step.input = parameters
    # A request with other parameters is another effect: it must not hide behind the first one's key.
    suffix = f"~{len(edits)}" if edits else ""
    acted = await machine.effects.act(
        ActRequest(
            action=node.action,
            parameters=parameters,
            secrets=secrets,
            step_id=step.id,
            node_id=node.id,
            title=node.title,
            idempotency_key=machine.key(f"{step.id}{suffix}"),
            retry=node.retry,
            timeout_seconds=node.timeout_seconds,
            heartbeat_seconds=node.heartbeat_seconds,
            task_queue=node.task_queue or machine.plan.task_queue,
            local=node.local,
        )
    )
    result = acted.result
    step.output = result if isinstance(result, dict) else {"result": result}
    step.retry_count += acted.attempts - 1
    return "next"


def _first_key(pointer: str) -> str:
    return pointer.split("/", 2)[1].replace("~1", "/").replace("~0", "~")


async def delay(machine: Machine, node: Delay, step: Step, place: Place) -> str:
    """Sleep."""
    now = machine.effects.now()
    if node.cron is not None:
        until = next_fire(node.cron, now)
    elif node.until is not None:
        until = moment(machine.compiled.render(node.until, place.env))
    else:
        seconds = number(machine.compiled.render(node.seconds, place.env), "delay_seconds")
        until = now + timedelta(seconds=seconds)
    seconds = max((until - now).total_seconds(), 0.0)
    if seconds > MAX_DELAY_SECONDS:
        raise StepFailed(f"the delay ends more than ten years from now: {timestamp(until)}", recoverable=False)
    if seconds > 0:
        step.status = "waiting"
        step.waiting_for = {"kind": "delay", "until": timestamp(until)}
        await machine.effects.sleep(seconds, node.title)
    step.output = {"until": timestamp(until), "slept_seconds": seconds}
    return "next"


async def wait(machine: Machine, node: Wait, step: Step, place: Place) -> str:
    """Wait for an event; one whose payload does not fit the schema is refused and the wait goes on."""
    event = str(machine.compiled.render(node.event, place.env))
    limit = machine.compiled.render(node.timeout_seconds, place.env)
    deadline = None
    if limit is not None:
        deadline = machine.effects.now() + timedelta(seconds=number(limit, "timeout_seconds"))
    step.status = "waiting"
    step.waiting_for = {"kind": "event", "event": event, "until": deadline and timestamp(deadline)}
    while True:
        left = None if deadline is None else max((deadline - machine.effects.now()).total_seconds(), 0.0)
        received = await machine.effects.receive(event, left, node.title)
        if received is None:
            step.output = {"timed_out": True}
            return "timeout"
        problems = _misfits(node, received[0])
        if not problems:
            step.output = {"event": event, "payload": received[0]}
            return "next"
        step.warnings += (f"an event {event!r} was refused: {problems}",)


def _misfits(node: Wait, payload: Any) -> str:
    if node.payload_schema is None:
        return ""
    found = schema.problems(node.payload_schema, payload)
    return "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in found[:5])


async def call(machine: Machine, node: Call, step: Step, place: Place) -> str:
    """Run another workflow."""
    callee = machine.plan.workflows[node.workflow]
    given = machine.compiled.render(node.input, place.env)
    step.input = given
    if callee.input_schema is not None and (found := schema.problems(callee.input_schema, given)):
        listed = "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in found[:5])
        raise StepFailed(
            f"the input does not fit workflow {callee.id}: {listed}",
            error_type="validation_error",
            recoverable=False,
        )
    needed = {name: machine.plan.workflows[name] for name in sorted(calls_of(callee, machine.plan.workflows))}
    plan = callee.model_copy(update={"workflows": needed})
    step.output = await machine.effects.call(
        CallRequest(plan=plan, input=given, wait=node.wait, step_id=step.id, title=node.title)
    )
    return "next"


def calls_of(plan: Plan, workflows: dict[str, Plan]) -> set[str]:
    """Give the names of the workflows that a plan calls, directly or through others."""
    found: set[str] = set()
    scopes = [plan.scope]
    while scopes:
        for node in scopes.pop().nodes:
            if isinstance(node, Call) and node.workflow not in found:
                found.add(node.workflow)
                scopes.append(workflows[node.workflow].scope)
            else:
                scopes.extend(inner_scopes(node))
    return found


def inner_scopes(node: object) -> list[Scope]:
    """Give the scopes that a node owns."""
    if isinstance(node, Loop):
        return [node.body]
    return [branch.scope for branch in node.branches] if isinstance(node, Parallel) else []
