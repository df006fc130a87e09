"""Make a test case of a real run: what it was given is the case, what it did is what the case expects. No I/O."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from orchestrator.model.plan import Action, AnyNode, Call, Pause, Plan, Wait
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import Run, StepDocument, format_timestamp
from orchestrator.simulator.coverage import COMPENSATION, is_skipped_by_when
from orchestrator.simulator.masking import Masker
from orchestrator.simulator.recorded_repairs import read_repairs

UNKNOWN_FAILURE = {"message": "the attempt failed", "error_type": "action_error"}
"""The failure of an attempt that is not recorded: Temporal records the last one only."""


def build_case(run: Run, plan: Plan, name: str, masker: Masker, *, with_seconds: bool) -> dict[str, Any]:
    """Return the case of an ended run; `with_seconds` lets calls take as long as they did."""
    nodes = {node.id: node for node in iterate_nodes(plan.scope)}
    steps = [(step, nodes[step.node_id]) for step in run.steps if step.node_id in nodes]
    recorded = read_repairs(run)
    given = recorded.given
    own = [(step, node) for step, node in steps if step.id not in given]
    data = masker.mask(
        {
            "input": run.input_data,
            "trigger": run.trigger_data,
            "results": {
                step.id: answer
                for step, node in steps
                for answer in _list_answers(step, node, is_given=step.id in given)
            },
            "events": [event for step, node in own for event in list_events(step, node, run.started_at)],
            "resolutions": [
                *_list_retries(run),
                *(each for step, node in own for each in list_resolutions(step, node)),
            ],
            "repairs": recorded.repairs,
            "output": run.output,
        }
    )
    # A step that an operator has dealt with took as long as it waited for that.
    repaired = given | {done.step_id for done in run.interventions}
    timed = [step for step in run.steps if step.id not in repaired] if with_seconds else []
    seconds = {step.id: (step.duration_ms or 0) / 1000 for step in timed}
    case = {
        "name": name,
        "input": data["input"],
        "trigger": data["trigger"],
        "start": None if run.started_at is None else format_timestamp(run.started_at),
        "results": {key: _format_answers(answers, seconds.get(key, 0)) for key, answers in data["results"].items()},
        "events": data["events"],
        "resolutions": data["resolutions"],
        "repairs": data["repairs"],
        "expect": _build_expectations(run, data["output"]),
    }
    return {key: value for key, value in case.items() if value not in (None, [], {}) or key == "name"}


def _build_expectations(run: Run, output: Any) -> dict[str, Any]:
    expect: dict[str, Any] = {"status": run.status}
    if run.failure is not None:
        expect["error_type"] = run.failure["error_type"]
    else:
        expect["output"] = output
    expect["steps"] = {step.id: step.status for step in run.steps}
    return expect


def _list_retries(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the steps that an operator had tried again, in order."""
    for done in run.interventions:
        if done.kind == "resolve" and done.action == "retry":
            yield {"node_id": done.node_id, "action": "retry"}


def _list_answers(step: StepDocument, node: AnyNode, *, is_given: bool) -> Iterator[list[dict[str, Any]]]:
    """Yield the answers of the attempts of a step that called something, up to where it was given a result."""
    if not isinstance(node, Action | Call) or is_skipped_by_when(step) or step.completed_at is None:
        return
    error = step.error or {}
    if error.get("error_type") == "retry_exhausted":
        error = (error.get("details") or {}).get("last_error") or UNKNOWN_FAILURE
    failures = [{"error": dict(each.error or UNKNOWN_FAILURE)} for each in step.attempts[:-1]]
    failures += [{"error": UNKNOWN_FAILURE}] * (step.retry_count - len(failures))
    if is_given:
        failed = [{"error": dict(each.error)} for each in step.attempts if each.error]
        yield failed or [{"error": UNKNOWN_FAILURE}]
    elif error:
        kept = ("message", "error_type", "details", "recoverable")
        yield [*failures, {"error": {key: error[key] for key in kept if key in error}}]
    else:
        yield [*failures, {"output": step.output_data}]


def list_events(step: StepDocument, node: AnyNode, start: datetime | None) -> Iterator[dict[str, Any]]:
    """Yield the event that a wait received, at the time when it did."""
    output = step.output_data
    if not isinstance(node, Wait) or "event" not in output or step.completed_at is None or start is None:
        return
    at = round((step.completed_at - start).total_seconds(), 3)
    yield {"at": at, "name": output["event"], "payload": output.get("payload")}


def list_resolutions(step: StepDocument, node: AnyNode) -> Iterator[dict[str, Any]]:
    """Yield what an operator decided about a step that failed, other than to try it again."""
    if not isinstance(node.on_error, Pause) or step.error is None or step.id.endswith(COMPENSATION):
        return
    if step.status == "skipped":
        yield {"node_id": node.id, "action": "skip"}
    elif step.status == "completed":
        yield {"node_id": node.id, "action": "fallback", "value": step.output_data.get("value")}
    elif step.status == "failed":
        yield {"node_id": node.id, "action": "abort"}


def _format_answers(answers: list[dict[str, Any]], seconds: float) -> Any:
    escaped = [escape_templates(each) for each in answers]
    timed = [{**each, "seconds": round(seconds / len(escaped), 3)} for each in escaped] if seconds else escaped
    return timed[0] if len(timed) == 1 else timed


def escape_templates(value: Any) -> Any:
    """Return a value whose text is not taken for templates: answers of cases are templates."""
    match value:
        case Mapping():
            return {key: escape_templates(item) for key, item in value.items()}
        case list():
            return [escape_templates(item) for item in value]
        case str():
            return value.replace("{{", '{{ "{{" }}')
        case _:
            return value


def add_keys(case: dict[str, Any], waiting_for: list[dict[str, Any]]) -> bool:
    """Give events the keys for which the simulated run waits; return whether any got one.

    No run document has the keys of the events that were received.
    """
    has_changed = False
    for wait in waiting_for:
        names = wait.get("event")
        names = names if isinstance(names, list) else [names]
        for event in case.get("events", ()):
            if wait.get("key") is not None and event["name"] in names and "key" not in event:
                event["key"] = wait["key"]
                has_changed = True
                break
    return has_changed
