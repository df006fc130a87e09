"""Delays and waits: nodes that last without doing anything. Replay-sensitive."""

from datetime import timedelta
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter import approvals
from orchestrator.interpreter.actions import accept_result
from orchestrator.interpreter.base import NodeRun, take_warnings
from orchestrator.interpreter.compiled import describe_kind, parse_seconds, parse_time
from orchestrator.interpreter.effects import ActionResult, EventFilter, ReceivedEvent
from orchestrator.interpreter.leaf_frames import DelayFrame, WaitFrame, join_events
from orchestrator.interpreter.pure_nodes import NEXT, Exit
from orchestrator.interpreter.repairs import Repair
from orchestrator.interpreter.step_record import Step
from orchestrator.jsontools import schema
from orchestrator.language.costs import SCHEMA_STEP
from orchestrator.language.values import to_text
from orchestrator.model.plan import MAX_DELAY_SECONDS, Delay, Wait
from orchestrator.model.run import format_timestamp
from orchestrator.timing.fire_times import find_next_fire

MAX_REFUSALS_SHOWN = 20
"""Warnings of a step that say why an event was refused."""


async def delay(run: NodeRun, node: Delay) -> Exit:
    """Sleep."""
    progress = run.scope.frame.open
    resumed = isinstance(progress, DelayFrame)
    if not isinstance(progress, DelayFrame):
        progress = _start_delay(run, node)
    seconds_left = (progress.until - run.effects.now()).total_seconds()
    repair: Repair | None = None
    if seconds_left > 0:
        repair = await run.wait(run.effects.sleep(seconds_left, node.title))
    elif resumed:
        await run.effects.pass_lineup()
    until, seconds = progress.until, progress.seconds
    if repair is not None and repair.kind != "skip_wait":
        set_outcome(run.step, repair)
        return NEXT
    if repair is not None:
        until, seconds = run.effects.now(), seconds - (until - run.effects.now()).total_seconds()
    run.step.output = {"until": format_timestamp(until), "slept_seconds": seconds}
    return NEXT


def set_outcome(step: Step, repair: Repair) -> None:
    """Set status and output of a step that an operator has given a result, or has skipped."""
    if repair.kind == "skip_node":
        step.status, step.output = "skipped", {"skipped": True}
        return
    accept_result(step, ActionResult(repair.result))
    step.status = "completed"


def _start_delay(run: NodeRun, node: Delay) -> DelayFrame:
    now, step = run.effects.now(), run.step
    if node.cron is not None:
        until = find_next_fire(node.cron, now, node.timezone)
    elif node.until is not None:
        until = parse_time(run.render(node.until))
    else:
        until = now + timedelta(seconds=parse_seconds(run.render(node.seconds), "delay_seconds"))
    seconds = max((until - now).total_seconds(), 0.0)
    if seconds > MAX_DELAY_SECONDS:
        message = f"the delay ends more than ten years from now: {format_timestamp(until)}"
        raise StepFailed(message, recoverable=False)
    progress = DelayFrame(step, until, seconds)
    if seconds > 0:
        step.status = "waiting"
        step.waiting_for = {"kind": "delay", "until": format_timestamp(until)}
        take_warnings(run.scope, step)
        run.scope.frame.open = progress
    return progress


async def wait(run: NodeRun, node: Wait) -> Exit:
    """Wait for an event; one whose payload does not match the schema is refused and the wait continues."""
    progress = run.scope.frame.open
    if not isinstance(progress, WaitFrame):
        progress = _start_wait(run, node)
    step = run.step
    while True:
        received = await _receive_or_remind(run, node, progress)
        if isinstance(received, Repair) and received.kind != "skip_wait":
            set_outcome(step, received)
            return NEXT
        if received is None or isinstance(received, Repair):
            step.output = {"timed_out": True}
            return Exit("timeout")
        problems = _describe_refusal(run, node, received)
        if not problems:
            step.output = {"event": received.name, "payload": received.payload}
            if node.approval is not None:
                step.output |= approvals.describe_decision(received, run.effects.now())
            return NEXT
        if len(step.warnings) < MAX_REFUSALS_SHOWN:
            step.warnings += (f"an event {received.name!r} was refused: {problems}",)
        elif len(step.warnings) == MAX_REFUSALS_SHOWN:
            step.warnings += ("more events were refused",)
        progress.turn = run.state.take_turn()
        # Thousands of events may be queued, and reading one that is queued does not yield.
        if run.interpreter.boundary_due():
            await run.interpreter.pass_boundary()


async def _receive_or_remind(run: NodeRun, node: Wait, progress: WaitFrame) -> ReceivedEvent | Repair | None:
    """Return the next event, or `None` after the timeout; remind the assignees of an approval meanwhile."""
    while True:
        remind_at, until = progress.remind_at, progress.until
        end = min((moment for moment in (remind_at, until) if moment is not None), default=None)
        seconds_left = None if end is None else max((end - run.effects.now()).total_seconds(), 0.0)
        wanted = EventFilter(progress.events, progress.key, run.step.id)
        received = await run.wait(
            run.effects.receive(wanted, seconds_left, node.title, run.scope.branches, progress.turn)
        )
        if received is not None or remind_at is None or end != remind_at:
            return received
        await approvals.remind(run, node, progress)


def _describe_refusal(run: NodeRun, node: Wait, received: ReceivedEvent) -> str:
    """Return why a wait refuses an event; empty where it accepts it."""
    if node.approval is not None and not approvals.may_decide(run.step, received):
        return f"{received.by} is not an assignee"
    return "" if node.payload_schema is None else describe_problems(run, node.payload_schema, received.payload)


def _start_wait(run: NodeRun, node: Wait) -> WaitFrame:
    step = run.step
    rendered = run.render(node.event)
    names = rendered if isinstance(rendered, list) and rendered else [rendered]
    events = tuple(dict.fromkeys(map(str, names)))
    key = None if node.key is None else _parse_key(run, run.render(node.key))
    limit = run.render(node.timeout_seconds)
    until = None
    if limit is not None:
        until = run.effects.now() + timedelta(seconds=parse_seconds(limit, "timeout_seconds"))
    step.status = "waiting"
    step.waiting_for = {"kind": "event", "event": join_events(events), "until": until and format_timestamp(until)}
    if key is not None:
        step.waiting_for["key"] = key
    if node.approval is not None:
        step.waiting_for |= approvals.render_approval(run, node.approval)
    take_warnings(run.scope, step)
    progress = run.scope.frame.open = WaitFrame(step, events, until, run.state.take_turn(), key)
    if node.approval is not None:
        approvals.plan_reminder(run, node.approval, progress)
    return progress


def _parse_key(run: NodeRun, value: Any) -> str:
    """Return a rendered key as text; raises StepFailed for what events cannot be sent with."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise StepFailed(f"the key is {describe_kind(value)}; expected text or a number", recoverable=False)
    return to_text(value, run.scope.env.spend)


def describe_problems(run: NodeRun, json_schema: dict[str, Any], value: Any) -> str:
    """Describe the first five mismatches of a value with a JSON Schema; empty where it is valid."""
    problems, steps = schema.measure_problems(json_schema, value)
    run.interpreter.meter.spent += SCHEMA_STEP * steps
    return "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in problems[:5])
