"""Delays and waits: nodes that last without doing anything."""

from datetime import timedelta
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import parse_seconds, parse_time
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.jsontools import schema
from orchestrator.model.plan import MAX_DELAY_SECONDS, Delay, Wait
from orchestrator.model.run import format_timestamp
from orchestrator.timing.fire_times import find_next_fire


async def delay(machine: Machine, node: Delay, step: Step, place: Place) -> str:
    """Sleep."""
    now = machine.effects.now()
    if node.cron is not None:
        until = find_next_fire(node.cron, now)
    elif node.until is not None:
        until = parse_time(machine.compiled.render(node.until, place.env))
    else:
        seconds = parse_seconds(machine.compiled.render(node.seconds, place.env), "delay_seconds")
        until = now + timedelta(seconds=seconds)
    seconds = max((until - now).total_seconds(), 0.0)
    if seconds > MAX_DELAY_SECONDS:
        raise StepFailed(f"the delay ends more than ten years from now: {format_timestamp(until)}", recoverable=False)
    if seconds > 0:
        step.status = "waiting"
        step.waiting_for = {"kind": "delay", "until": format_timestamp(until)}
        await machine.effects.sleep(seconds, node.title)
    step.output = {"until": format_timestamp(until), "slept_seconds": seconds}
    return "next"


async def wait(machine: Machine, node: Wait, step: Step, place: Place) -> str:
    """Wait for an event; one whose payload does not fit the schema is refused and the wait goes on."""
    event = str(machine.compiled.render(node.event, place.env))
    limit = machine.compiled.render(node.timeout_seconds, place.env)
    deadline = None
    if limit is not None:
        deadline = machine.effects.now() + timedelta(seconds=parse_seconds(limit, "timeout_seconds"))
    step.status = "waiting"
    step.waiting_for = {"kind": "event", "event": event, "until": deadline and format_timestamp(deadline)}
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
    found = schema.find_problems(node.payload_schema, payload)
    return "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in found[:5])
