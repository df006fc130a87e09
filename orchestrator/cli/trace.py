"""Format a run as lines, one per step: what happened when, for how long, and why. No I/O, no colour."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.cli.moments import format_duration, format_until, format_utc
from orchestrator.model.run import Run, StepDocument, find_owner
from orchestrator.service.explanations import explain_decision, format_line
from orchestrator.service.intervention_words import describe_intervention

INCOMPLETE = "(steps are missing: Temporal no longer stores them, or its history does not fit the plan)"


def format_trace(run: Run, now: datetime | None = None) -> list[str]:
    """Return the trace of a run: a line per step with its details below, and how the run ended.

    With the current time, what it waits for is told relative to that; the clock of a simulation is another one.
    """
    width = min(max((len(step.id) for step in run.steps), default=0), 60)
    parts = [text for step in order_steps(run.steps) for text in format_step(step, run.started_at, width)]
    hidden = run.steps_total - len(run.steps)
    if hidden > 0:
        parts.insert(0, f"({hidden} earlier steps are not stored)")
    if not run.complete:
        parts.insert(0, INCOMPLETE)
    warnings = [f"warning: {format_line(warning)}" for warning in run.warnings]
    return [*parts, *_format_interventions(run), *warnings, *format_waits(run, now), format_ending(run)]


def order_steps(steps: Sequence[StepDocument]) -> list[StepDocument]:
    """Order steps so that those inside a loop or a parallel follow it."""
    inside: dict[str, list[StepDocument]] = {}
    ids = {step.id for step in steps}
    for step in steps:
        owner = find_owner(step.path)
        inside.setdefault(owner if owner in ids else "", []).append(step)
    ordered: list[StepDocument] = []
    waiting = inside.get("", [])[::-1]
    while waiting:
        step = waiting.pop()
        ordered.append(step)
        waiting += inside.get(step.id, [])[::-1]
    return ordered


def format_step(step: StepDocument, start: datetime | None, width: int = 0) -> Iterator[str]:
    """Yield the lines of a step; `width` aligns what follows its ID."""
    since = _format_since(start, step.started_at)
    yield f"{since:>10}  {step.status:<9}  {step.id:<{width}}  {', '.join(list_facts(step))}".rstrip()
    indent = " " * 23
    if step.decision is not None and (why := explain_decision(step.decision)):
        yield f"{indent}why: {why}"
    if step.error is not None:
        yield f"{indent}{step.error['error_type']}: {format_line(step.error['message'])}"
    for warning in step.warnings:
        yield f"{indent}warning: {format_line(warning)}"


def _format_interventions(run: Run) -> Iterator[str]:
    """Yield a line for each thing that an operator has done."""
    for done in run.interventions:
        since = _format_since(run.started_at, done.at)
        yield f"{since:>10}  {'operator':<9}  {format_line(describe_intervention(done))}"


def list_facts(step: StepDocument) -> list[str]:
    """Return the duration of a step, its port and its number of attempts, as far as they matter."""
    reused = "reused" if step.reused else ""
    return [fact for fact in (_format_took(step), _format_port(step), _format_attempts(step), reused) if fact]


def format_waits(run: Run, now: datetime | None = None) -> Iterator[str]:
    """Yield what an open run waits for; with the current time, how long it will be."""
    for wait in run.waiting_for:
        node = wait.get("step_id") or wait.get("node_id")
        yield f"waits{f' at {node}' if node else ''}: {format_line(describe_wait(wait, now))}"


def describe_wait(wait: Mapping[str, Any], now: datetime | None = None) -> str:
    """Return in words what a run waits for: `event order.paid, until 03:39 UTC, in 51 min`."""
    until = wait.get("until")
    deadline = None if until is None else format_until(datetime.fromisoformat(until), now)
    match wait.get("kind"):
        case "delay":
            return deadline or "a delay"
        case "event":
            event = wait.get("event")
            names = " or ".join(map(str, event)) if isinstance(event, list) else str(event)
            return ", ".join(filter(None, (f"event {names}", deadline)))
        case "approval":
            approval = wait.get("approval") or {}
            people = ", ".join(approval.get("assignees", ()))
            named = f"approval of {approval.get('title')!r}{f' by {people}' if people else ''}"
            return ", ".join(filter(None, (named, deadline)))
        case "operator":
            # In lists of runs, the wait has no message.
            return ": ".join(filter(None, ("an operator", wait.get("error_type"), wait.get("message"))))
        case "retry":
            retry = f"attempt {wait.get('attempt')} after {wait.get('error_type')}: {wait.get('message')}"
            return ", ".join(filter(None, (retry, deadline)))
        case "paused":
            return "the run is paused"
        case "child":
            return f"run {wait['run_id']}" if wait.get("run_id") else "a called workflow"
        case kind:
            since = wait.get("since")
            moment = None if since is None else f"since {format_utc(datetime.fromisoformat(since), now)}"
            return ", ".join(filter(None, (wait.get("message") or str(kind), moment)))


def format_ending(run: Run) -> str:
    """Return the status of a run in one line."""
    took = "" if run.duration_ms is None else f" after {format_duration(run.duration_ms)}"
    steps = f"{run.steps_total} step{'' if run.steps_total == 1 else 's'}" if run.complete else "steps unknown"
    summary = f"{run.status}{took}, {steps}{_format_cancellation(run)}"
    if run.failure is None:
        return summary
    node = run.failure.get("node_id")
    at = f" at {node}" if node else ""
    return f"{summary}: {run.failure['error_type']}{at}: {format_line(run.failure['message'])}"


def _format_cancellation(run: Run) -> str:
    if run.cancelled_by is None:
        return ""
    reason = f": {format_line(run.cancel_reason)}" if run.cancel_reason else ""
    request = "" if run.status == "cancelled" else "cancellation requested "
    return f", {request}by {run.cancelled_by}{reason}"


def _format_since(start: datetime | None, moment: datetime) -> str:
    """Return when something happened since the start of the run; before it, what a rerun reuses."""
    if start is None:
        return ""
    milliseconds = round((moment - start).total_seconds() * 1000)
    return f"{'-' if milliseconds < 0 else '+'}{format_duration(abs(milliseconds))}"


def _format_took(step: StepDocument) -> str:
    return format_duration(step.duration_ms) if step.duration_ms else ""


def _format_port(step: StepDocument) -> str:
    port = step.decision.get("port") if isinstance(step.decision, dict) else None
    return f"-> {port}" if port else ""


def _format_attempts(step: StepDocument) -> str:
    return f"{step.retry_count + 1} attempts" if step.retry_count else ""
