"""Explain a run from its document: what was decided and why, what was skipped by which rule, why it went on or ended.

No I/O. In the order in which things happened; steps that did what their nodes say, without a choice, are left out.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from orchestrator.jsontools.text import shorten
from orchestrator.model.approval_forms import DECISION
from orchestrator.model.run import Document, Intervention, Run, StepDocument, find_owner
from orchestrator.service.intervention_words import describe_intervention

Kind = Literal[
    "decision", "skip", "handled", "failure", "retry", "wait", "join", "loop", "undo", "operator", "cancel", "end"
]
MAX_TEXT = 160


class Explanation(Document):
    """One thing that a run decided, or that happened to it."""

    at: datetime | None = Field(description="When it was decided.")
    kind: Kind = Field(description="What it is about.")
    step_id: str | None = Field(None, description="The step that it is about; null for the run.")
    node_id: str | None = Field(None, description="The node of the step.")
    text: str = Field(description="In words.")
    port: str | None = Field(None, description="The port that was taken, where there was a choice.")
    decision: Any = Field(None, description="What was compared, and the values that were seen; as on the step.")


def explain_run(run: Run) -> list[Explanation]:
    """Return what was decided in a run, in order."""
    found = [explanation for step in _order_by_end(run.steps) for explanation in _explain_step(step)]
    found += [_explain_intervention(done) for done in run.interventions]
    ordered = sorted(found, key=lambda explanation: (explanation.at is None, explanation.at))
    return [*ordered, *_explain_end(run)]


def _order_by_end(steps: Sequence[StepDocument]) -> list[StepDocument]:
    """Return steps in their order, but loops and parallels after the last step in them: many end in one moment."""
    last = {step.id: index for index, step in enumerate(steps)}
    for index, step in enumerate(steps):
        owner = find_owner(step.path)
        while owner:
            last[owner] = index
            owner = find_owner(owner.rpartition("/")[0])
    return sorted(steps, key=lambda step: (last[step.id], -step.path.count("[")))


def _explain_step(step: StepDocument) -> Iterator[Explanation]:
    def explain(kind: Kind, text: str, port: str | None = None, decision: Any = None) -> Explanation:
        return Explanation(
            at=step.completed_at or step.started_at,
            kind=kind,
            step_id=step.id,
            node_id=step.node_id,
            text=text,
            port=port,
            decision=decision,
        )

    if step.id.endswith("/compensate"):
        yield explain("undo", _describe_undo(step))
        return
    if isinstance(step.decision, Mapping):
        kind, text = _describe_decision(step)
        yield explain(kind, text, step.decision.get("port"), step.decision)
    if (attempts := _describe_attempts(step)) is not None:
        yield explain("retry", attempts)
    if step.status == "cancelled":
        yield explain("cancel", "was cancelled before its end")
    elif step.error is not None:
        yield explain(*_describe_error(step))
    output = step.output_data if isinstance(step.output_data, Mapping) else {}
    if step.status == "completed" and step.error is None:
        for kind, text, port in _describe_output(step, output):
            yield explain(kind, text, port)


def _explain_intervention(done: Intervention) -> Explanation:
    text = format_line(describe_intervention(done))
    return Explanation(at=done.at, kind="operator", step_id=done.step_id, node_id=done.node_id, text=text)


def _describe_decision(step: StepDocument) -> tuple[Kind, str]:
    port, why = step.decision.get("port"), explain_decision(step.decision)
    because = f": {why}" if why else ""
    match port:
        case "skipped":
            return "skip", f"was skipped by its `when`{because}"
        case "when":
            return "decision", f"ran, as its `when` holds{because}"
        case "break":
            return "loop", f"was left by `break_when`{because}"
        case _:
            return "decision", f"took `{port}`{because}"


def _describe_attempts(step: StepDocument) -> str | None:
    """Say why an action was tried again, and why not any more."""
    error = step.error or {}
    attempts = step.retry_count + 1
    if error.get("error_type") == "retry_exhausted" and step.retry_count:
        return f"no attempt is left: all {error['details'].get('attempts', attempts)} failed"
    if step.status in ("retrying", "running") and step.retry_count:
        return f"attempt {attempts} follows: {_describe_failure(error)}"
    if step.retry_count and step.status == "completed" and not error:
        failed = [attempt.error for attempt in step.attempts if attempt.error is not None]
        before = f", the one before failed: {format_line(failed[-1]['message'])}" if failed else ""
        return f"attempt {attempts} succeeded{before}"
    if step.attempts and error and error.get("recoverable") is False:
        return f"it was not tried again: {error['error_type']} is not recoverable"
    return None


def _describe_error(step: StepDocument) -> tuple[Kind, str]:
    output = step.output_data if isinstance(step.output_data, Mapping) else {}
    failure = _describe_failure(step.error or {})
    if step.status == "skipped":
        return "skip", f"failed and was skipped by `on_error: skip`: {failure}"
    if step.status == "completed" and output.get("fallback") is True:
        return "handled", f"failed and has its `fallback` as output: {failure}"
    if step.status in ("waiting", "retrying", "running"):
        return "wait", f"failed: {failure}"
    return "failure", f"failed: {failure}"


def _describe_failure(error: Mapping[str, Any]) -> str:
    return f"{error.get('error_type')}: {format_line(str(error.get('message', '')))}"


def _describe_output(step: StepDocument, output: Mapping[str, Any]) -> Iterator[tuple[Kind, str, str | None]]:
    """Describe how a wait, a parallel or a loop went on."""
    if output.get("timed_out") is True:
        yield "wait", "no event came in time: it took `timeout`", "timeout"
    elif {"event", "payload", "decided_at"} <= set(output):
        answer = output["payload"] if isinstance(output["payload"], Mapping) else {}
        decision = "approved" if answer.get(DECISION) else "declined"
        yield "wait", f"{output.get('by') or 'someone'} {decision}", "next"
    elif set(output) == {"event", "payload"}:
        yield "wait", f"the event `{output['event']}` came", "next"
    branches = output.get("branches")
    if isinstance(branches, list) and all(isinstance(branch, Mapping) for branch in branches):
        yield "join", _describe_join(branches), "next"
    if {"count", "succeeded", "failed"} <= output.keys() and output["failed"]:
        yield "loop", f"{output['failed']} of {output['count']} iterations failed, and it went on", None


def _describe_join(branches: list[Any]) -> str:
    counts = {
        status: sum(1 for branch in branches if branch.get("status") == status)
        for status in ("completed", "failed", "cancelled")
    }
    others = [f"{counts[status]} {status}" for status in ("failed", "cancelled") if counts[status]]
    more = f"; {', '.join(others)}" if others else ""
    return f"the join went on with {counts['completed']} of {len(branches)} branches completed{more}"


def _describe_undo(step: StepDocument) -> str:
    undone = step.id.removesuffix("/compensate")
    if step.error is not None:
        return f"undoing {undone} failed: {_describe_failure(step.error)}"
    return f"{undone} was undone" if step.status == "completed" else f"{undone} is being undone"


def _explain_end(run: Run) -> Iterator[Explanation]:
    """Say how a run ended, or what it waits for."""
    if run.cancelled_by is not None or run.cancel_reason is not None:
        reason = f": {format_line(run.cancel_reason)}" if run.cancel_reason else ""
        yield Explanation(at=None, kind="cancel", text=f"its end was requested by {run.cancelled_by}{reason}")
    if run.failure is not None:
        node = run.failure.get("node_id")
        text = f"{run.status}{f' at {node}' if node else ''}: {_describe_failure(run.failure)}"
        yield Explanation(at=run.completed_at, kind="end", node_id=node, text=text)
    elif run.completed_at is not None:
        yield Explanation(at=run.completed_at, kind="end", text=run.status)
    for wait in run.waiting_for:
        name = (
            (wait.get("approval") or {}).get("title")
            or wait.get("event")
            or wait.get("message")
            or wait.get("until")
            or wait.get("run_id")
            or ""
        )
        named = " or ".join(map(str, name)) if isinstance(name, list) else str(name)
        separator = ": " if name == wait.get("message") else " "  # `operator cannot connect` would be about people
        text = f"waits: {wait['kind']}{separator}{format_line(named)}".rstrip()
        yield Explanation(at=None, kind="wait", step_id=wait.get("step_id"), node_id=wait.get("node_id"), text=text)


def explain_decision(decision: Any) -> str:
    """Return the evidence of a decision: `total greater_than 10: true, saw 12`."""
    if not isinstance(decision, Mapping):
        return ""
    if "compared" not in decision:
        return f"the value is {format_value(decision.get('value'))}"
    parts = [_format_comparison(entry) for entry in decision["compared"]]
    if decision.get("omitted"):
        parts.insert(0, f"{decision['omitted']} more")
    return "; ".join(parts)


def _format_comparison(entry: Mapping[str, Any]) -> str:
    value = "" if entry.get("value") is None else f" {format_value(entry['value'])}"
    test = f" {entry['operator']}{value}" if "operator" in entry else ""
    saw = "no value" if entry.get("missing") else f"saw {format_value(entry['seen'])}"
    return f"{entry['field']}{test}: {format_value(entry['result'])}, {saw}"


def format_value(value: Any) -> str:
    """Return a value as JSON, truncated to one line."""
    return format_line(json.dumps(value, ensure_ascii=False, default=str))


def format_line(text: str) -> str:
    """Return a text in one line, truncated to `MAX_TEXT` characters."""
    return shorten(" ".join(text.split()), MAX_TEXT - 1)
