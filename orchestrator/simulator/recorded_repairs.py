"""Repeat in a test case what operators did to a run, as far as its record tells. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model.run import Intervention, Run, StepDocument

NO_VALUE = "its record does not say to which values"


@dataclass(slots=True)
class RecordedRepairs:
    """What operators did to a run."""

    repairs: list[dict[str, Any]] = field(default_factory=list)
    """As `simulate` takes them, with `at` in seconds from the start."""
    given: set[str] = field(default_factory=set)
    """IDs of the steps that an operator ended: what they did themselves is only what failed before."""
    unrepeatable: list[str] = field(default_factory=list)
    """What cannot be repeated, in words."""


def read_repairs(run: Run) -> RecordedRepairs:
    """Return what can be repeated of the repairs of a run; pauses change nothing but times."""
    recorded = RecordedRepairs()
    for done in run.interventions:
        if done.kind in ("pause", "resume", "resolve") or run.started_at is None:
            continue
        if done.kind == "migrate":
            if not done.refused:
                recorded.unrepeatable.append(
                    f"the move to version {done.version} cannot be repeated: a case runs one version"
                )
            continue
        repair = _make_repair(run, done)
        if repair is None:
            name = ", ".join(done.names) if done.kind == "set_variables" else done.step_id or done.node_id
            recorded.unrepeatable.append(f"{done.kind} of {name} cannot be repeated: {NO_VALUE}")
            continue
        at = round((done.at - run.started_at).total_seconds(), 3)
        recorded.repairs.append({"at": at, "kind": done.kind, **repair})
        if done.kind in ("set_result", "skip_node", "skip_wait"):
            recorded.given |= {step.id for step in _list_steps(run, done)}
    return recorded


def _make_repair(run: Run, done: Intervention) -> dict[str, Any] | None:
    """Return the request of a repair; None where the record has not all of it."""
    target = {"step_id": done.step_id} if done.step_id else {"node_id": done.node_id}
    if done.path and not done.step_id:
        target["path"] = done.path
    match done.kind:
        case "set_variables":
            values = {name: run.context[name] for name in done.names if name in run.context}
            has_all = len(values) == len(done.names) and not done.path
            return {"variables": values} if has_all else None
        case "set_result":
            step = next(_list_steps(run, done), None)
            return None if step is None else {**target, "result": step.output_data}
        case "set_parameters":
            step = next(_list_steps(run, done), None)
            if step is None or not all(name in step.input_data for name in done.names):
                return None
            return {**target, "parameters": {name: step.input_data[name] for name in done.names}}
        case _:
            return target


def _list_steps(run: Run, done: Intervention) -> Iterator[StepDocument]:
    """Yield the steps that a repair is about: the one that it names, or those of its node that it met."""
    for step in run.steps:
        if done.step_id:
            if step.id == done.step_id:
                yield step
        elif step.node_id == done.node_id and (step.completed_at is None or step.completed_at >= done.at):
            yield step
