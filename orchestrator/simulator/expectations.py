"""Compare a simulated run with what a test case expects of it. Only the keys that the case names are compared.

    status, error_type  of the run; `completed` by default, `failed` with an error_type
    output              of the run, as a whole
    order               IDs of all steps, in order
    steps               {step id: status | null | {status, input, output, error_type, attempts, port, at, seconds}}
    calls               {action: how many | [the parameters of each call, in order]}
    seconds             virtual time that the run took

Objects under `input` and `output` of a step, and under the parameters of a call, are compared by the keys that they
name. A time is a number, or `{min, max}` with one of both or both.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from orchestrator.model.run import StepDocument
from orchestrator.simulator.simulate import Trace

EXPECT_KEYS = frozenset({"status", "output", "steps", "order", "error_type", "calls", "seconds"})
STEP_KEYS = frozenset({"status", "input", "output", "error_type", "attempts", "port", "at", "seconds"})
TOLERANCE = 0.001
"""Seconds: times of a simulation are sums of floats."""


def compare(expect: Mapping[str, Any], trace: Trace) -> Iterator[str]:
    """Yield where a run differs from what is expected of it."""
    run, failure = trace.run, trace.run.failure or {}
    wanted_status = expect.get("status", "failed" if "error_type" in expect else "completed")
    if run.status != wanted_status:
        message = f": {failure['message']}" if failure else ""
        yield f"status: expected {wanted_status}, got {run.status}{message}"
    if "error_type" in expect and failure.get("error_type") != expect["error_type"]:
        yield f"error_type: expected {expect['error_type']}, got {failure.get('error_type')}"
    steps = {step.id: step for step in run.steps}
    for step_id, wanted in (expect.get("steps") or {}).items():
        yield from _compare_step(step_id, wanted, steps.get(step_id), trace)
    if "order" in expect and list(steps) != expect["order"]:
        yield format_diff("order", expect["order"], list(steps))
    for action, wanted in (expect.get("calls") or {}).items():
        yield from _compare_calls(action, wanted, [call.parameters for call in trace.calls if call.action == action])
    if "seconds" in expect:
        yield from _compare_time("seconds", expect["seconds"], _measure_run(trace))
    if "output" in expect and run.output != expect["output"]:
        yield format_diff("output", expect["output"], run.output)


def _compare_step(step_id: str, wanted: Any, step: StepDocument | None, trace: Trace) -> Iterator[str]:
    status = step and step.status
    if not isinstance(wanted, Mapping):
        if status != wanted:
            yield f"step {step_id}: expected {wanted or 'not to run'}, got {status or 'no such step'}"
        return
    if step is None:
        yield f"step {step_id}: expected to run, got no such step"
        return
    facts = {
        "status": step.status,
        "error_type": (step.error or {}).get("error_type"),
        "attempts": step.retry_count + 1,
        "port": step.decision.get("port") if isinstance(step.decision, Mapping) else None,
    }
    for key, got in facts.items():
        if key in wanted and wanted[key] != got:
            yield f"{key} of step {step_id}: expected {_format(wanted[key])}, got {_format(got)}"
    for key, data in (("input", step.input_data), ("output", step.output_data)):
        if key in wanted and not matches(wanted[key], data):
            yield format_diff(f"{key} of step {step_id}", wanted[key], _select(wanted[key], data))
    if "at" in wanted and trace.run.started_at is not None:
        began = (step.started_at - trace.run.started_at).total_seconds()
        yield from _compare_time(f"at of step {step_id}", wanted["at"], began)
    if "seconds" in wanted:
        took = None if step.completed_at is None else (step.completed_at - step.started_at).total_seconds()
        yield from _compare_time(f"seconds of step {step_id}", wanted["seconds"], took)


def _compare_calls(action: str, wanted: Any, calls: Sequence[Any]) -> Iterator[str]:
    count = wanted if isinstance(wanted, int) else len(wanted)
    if len(calls) != count:
        yield f"calls of {action}: expected {count}, got {len(calls)}"
    if isinstance(wanted, int):
        return
    for number, (each, got) in enumerate(zip(wanted, calls, strict=False), 1):
        if not matches(each, got):
            yield format_diff(f"call {number} of {action}", each, _select(each, got))


def _measure_run(trace: Trace) -> float | None:
    run = trace.run
    if run.started_at is None or run.completed_at is None:
        return None
    return (run.completed_at - run.started_at).total_seconds()


def _compare_time(what: str, wanted: Any, got: float | None) -> Iterator[str]:
    bounds = wanted if isinstance(wanted, Mapping) else {"min": wanted, "max": wanted}
    low, high = bounds.get("min", 0), bounds.get("max", float("inf"))
    if got is None:
        yield f"{what}: expected {_format(wanted)}, but it has not ended"
    elif not low - TOLERANCE <= got <= high + TOLERANCE:
        yield f"{what}: expected {_format(wanted)}, got {got:g}"


def matches(wanted: Any, got: Any) -> bool:
    """Return whether a value is as wanted: of objects, only the wanted keys count."""
    match wanted:
        case Mapping():
            return isinstance(got, Mapping) and all(key in got and matches(wanted[key], got[key]) for key in wanted)
        case list():
            if not isinstance(got, list) or len(wanted) != len(got):
                return False
            return all(matches(one, other) for one, other in zip(wanted, got, strict=True))
        case bool():
            return wanted is got
        case _:
            return bool(wanted == got) and not isinstance(got, bool)


def _select(wanted: Any, got: Any) -> Any:
    """Return the parts of a value that are compared, for a readable difference."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return {key: _select(wanted[key], got[key]) for key in wanted if key in got}
    return got


def _format(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def format_diff(what: str, wanted: Any, got: Any) -> str:
    """Return a unified diff of two JSON values."""
    one, other = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() for value in (wanted, got)
    )
    changes = list(unified_diff(one, other, "expected", "got", lineterm=""))
    return "\n".join(
        [f"{what}:", *changes] if changes else [f"{what}: expected {json.dumps(wanted)}, got {json.dumps(got)}"]
    )
