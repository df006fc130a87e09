"""Move a run in progress to another version of its definition: all of it, or nothing. Replay-sensitive.

The run continues as new with the other plan and the state that this makes of its own. What is done stays done: results,
variables that the run has set, compensations that it owes, the record. Delays and waits keep their ends.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.interpreter.frames import LoopFrame
from orchestrator.interpreter.inbox import Event
from orchestrator.interpreter.moved_frames import FrameMover, MovedNode, Position
from orchestrator.interpreter.state import RunState
from orchestrator.jsontools import schema
from orchestrator.model.plan import FORMAT, AnyNode, Plan, Wait
from orchestrator.model.plan_nodes import collect_node_ids, iterate_nodes

MAX_PROBLEMS_SHOWN = 5
"""Mismatches of the input that a refusal names."""


class MigrationRefused(Exception):
    """The run cannot move to that version."""


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """What an operator asks for."""

    plan: Plan
    """The version to move to."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New ids of nodes, by the ids that the run knows."""

    @classmethod
    def from_json(cls, message: Any) -> "MigrationRequest":
        """Read a message; raises MigrationRefused for what is not a request."""
        if not isinstance(message, Mapping) or not isinstance(message.get("plan"), Mapping):
            raise MigrationRefused("a move to another version is an object: {plan, renamed}")
        if message["plan"].get("format", FORMAT) != FORMAT:
            raise MigrationRefused("the worker does not know the format of the version: upgrade the worker")
        try:
            plan = Plan.model_validate(message["plan"])
        except ValidationError as error:
            raise MigrationRefused(f"the plan of the version cannot be read: {error}") from error
        renamed = {str(old): str(new) for old, new in dict(message.get("renamed") or {}).items()}
        return cls(plan, renamed)


@dataclass(frozen=True, slots=True)
class Migration:
    """What becomes of a run that moves."""

    state: dict[str, Any]
    """As `RunState.to_json` writes it; to be used only where there are no problems."""
    nodes: list[MovedNode]
    problems: list[str]
    """Why the run does not fit, all at once."""


def plan_migration(before: Plan, state: RunState, request: MigrationRequest, now: datetime) -> Migration:
    """Find out what becomes of a run that moves as it is now, without changing it."""
    after = request.plan
    if problems := [*_check_plans(before, state, after), *_check_names(before, after, request.renamed)]:
        return Migration({}, [], problems)
    fields = state.to_json()
    mover = FrameMover(before, after, request.renamed)
    mover.move(state.frame, fields["frame"], Position(before.scope, after.scope, state.path))
    results = [_describe_result(name, mover) for name in state.data.context["steps"]]
    mover.move_data(state.data, fields)
    fields["context"] = _move_context(before, state, mover)
    fields["compensations"] = [{**each, "node_id": mover.rename(each["node_id"])} for each in fields["compensations"]]
    fields["rewinds"] = {_rename_node(key, request.renamed): count for key, count in state.rewinds.items()}
    fields["keys"] = {_rename_step(key, state, mover): value for key, value in state.keys.items()}
    decisions = _move_overrides(state, mover, fields)
    problems = _check_limits(state, after, now) + _check_input(before, after, state.data.context.get("input"))
    reasons = [node.reason for node in mover.nodes if node.outcome == "refused"]
    return Migration(fields, [*mover.nodes, *decisions, *results], list(dict.fromkeys(problems + reasons)))


def _check_plans(before: Plan, state: RunState, after: Plan) -> list[str]:
    if state.path:
        return ["a branch moves with its run only"]
    if (before.id, before.customer_id) != (after.id, after.customer_id):
        return [f"the run is one of workflow {before.id!r}, and the version one of {after.id!r}"]
    return []


def _check_names(before: Plan, after: Plan, renamed: Mapping[str, str]) -> list[str]:
    known, found = collect_node_ids(before), collect_node_ids(after)
    problems = [f"the run's version has no node {name!r} to rename" for name in renamed if name not in known]
    problems += [f"version {after.version} has no node {name!r}" for name in renamed.values() if name not in found]
    taken: dict[str, str] = {}
    for name in sorted(known):
        new = renamed.get(name, name)
        if new in taken and (name in renamed or taken[new] in renamed):
            problems.append(f"{taken[new]!r} and {name!r} would both become {new!r}")
        taken[new] = name
    return problems


def _check_limits(state: RunState, after: Plan, now: datetime) -> list[str]:
    problems = []
    version = f"version {after.version}"
    if state.started >= after.max_steps:
        problems.append(
            f"the run has started {state.started:,} steps, and version {after.version} allows {after.max_steps:,}"
        )
    limit = after.timeout_seconds
    if limit is not None and now >= state.started_at + timedelta(seconds=limit):
        problems.append(f"the run has lasted longer than the {limit:g} s that {version} allows")
    return problems


def _check_input(before: Plan, after: Plan, run_input: Any) -> list[str]:
    if after.input_schema is None or after.input_schema == before.input_schema:
        return []
    problems, _ = schema.measure_problems(after.input_schema, run_input)
    shown = "; ".join(f"{each.path or '/'}: {each.message}" for each in problems[:MAX_PROBLEMS_SHOWN])
    return [f"the input does not fit the schema of version {after.version}: {shown}"] if problems else []


def _describe_result(node_id: str, mover: FrameMover) -> MovedNode:
    new = mover.rename(node_id)
    is_known = new in mover.known
    return MovedNode(node_id, "done", "kept" if is_known else "dropped", to=new if is_known else None)


def _move_context(before: Plan, state: RunState, mover: FrameMover) -> dict[str, Any]:
    """Return the context in the other version: a variable that the run has not set has its new first value."""
    after, context = mover.after, state.data.context
    moved = {**context, "steps": mover.rename_steps(context["steps"])}
    moved["workflow"] = {"id": after.id, "name": after.name, "version": after.version}
    hidden = {name for loop in _list_loops(state) for name in loop.shadowed}
    for name, value in after.variables.items():
        is_first = name in before.variables and context.get(name) == before.variables[name]
        if name not in context or (is_first and name not in state.data.changed and name not in hidden):
            moved[name] = value
    return moved


def _list_loops(state: RunState) -> list[LoopFrame]:
    return [node for node in state.frame.iterate_open_nodes() if isinstance(node, LoopFrame)]


def _rename_node(key: str, renamed: Mapping[str, str]) -> str:
    """Return `<path>/<node id>`, or the id of a step, with the new id of its node."""
    path, slash, name = key.rpartition("/")
    node_id, mark, visit = name.partition("#")
    return f"{path}{slash}{renamed.get(node_id, node_id)}{mark}{visit}"


def _rename_step(step_id: str, state: RunState, mover: FrameMover) -> str:
    """Return the id that a step is to have: one in progress keeps its own."""
    return step_id if step_id in state.open else _rename_node(step_id, mover.renamed)


def _move_overrides(state: RunState, mover: FrameMover, fields: dict[str, Any]) -> list[MovedNode]:
    """Rewrite what operators have decided on later steps; one that the node cannot take is dropped with a warning."""
    old = {node.id: node for node in iterate_nodes(mover.before.scope)}
    new = {node.id: node for node in iterate_nodes(mover.after.scope)}
    kept, described, warnings = [], [], list(fields["warnings"])
    for each in state.overrides:
        name = mover.rename(each.node_id)
        if reason := _describe_misfit(old.get(each.node_id), new.get(name), mover.after.version):
            described.append(MovedNode(each.node_id, "decided", "dropped", each.path, reason=reason))
            warnings.append(f"the decision on {each.node_id!r} was dropped: {reason}")
            continue
        step_id = None if each.step_id is None else _rename_step(each.step_id, state, mover)
        described.append(MovedNode(each.node_id, "decided", "kept", each.path, name))
        kept.append(replace(each, node_id=name, step_id=step_id).to_json())
    fields["overrides"], fields["warnings"] = kept, list(dict.fromkeys(warnings))
    return described


def _describe_misfit(old: AnyNode | None, new: AnyNode | None, version: int) -> str:
    """Return why a decision on a node does not hold for what it is in the other version; empty where it does."""
    if new is None:
        return f"version {version} has no such node"
    if old is not None and old.kind != new.kind:
        return f"its type is `{old.kind}`, and `{new.kind}` in version {version}"
    return ""


def move_early_events(
    before: Plan, state: RunState, request: MigrationRequest, events: Iterable[Event]
) -> Iterator[Event]:
    """Yield the unread events; an answer that was sent before its approval began is for the node that it becomes."""
    old = {node.id: node for node in iterate_nodes(before.scope) if isinstance(node, Wait)}
    new = {node.id: node for node in iterate_nodes(request.plan.scope) if isinstance(node, Wait)}
    for event in events:
        node_id = "" if event.step_id is None else event.step_id.rpartition("/")[2].partition("#")[0]
        name = request.renamed.get(node_id, node_id)
        if event.step_id is None or event.step_id in state.open or node_id not in old or name not in new:
            yield event
            continue
        step_id = _rename_node(event.step_id, request.renamed)
        yield replace(event, step_id=step_id, name=_read_event_name(new[name]) or event.name)


def _read_event_name(node: Wait) -> str:
    """Return the event that a wait asks for; empty where that is computed."""
    name = node.event[0] if isinstance(node.event, list) and node.event else node.event
    return name if isinstance(name, str) and "{{" not in name else ""
