"""Check what an operator asks of a flow in progress, and do it: all of it, or nothing. Replay-sensitive.

A request names a step by its id, or a node. A node means the one step of it that waits, or that comes next; where
there is none, and for its parameters always, for all steps of it that begin later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never, get_args

from orchestrator.errors import ExpressionError
from orchestrator.interpreter.base import make_step_id
from orchestrator.interpreter.coming_nodes import may_begin
from orchestrator.interpreter.frames import LoopFrame, OpenNode, ParallelFrame
from orchestrator.interpreter.leaf_frames import BusyNode, DelayFrame, OperatorFrame, WaitFrame
from orchestrator.interpreter.passes import Pass, iterate_passes
from orchestrator.interpreter.repairs import Override, Repair, Repairs
from orchestrator.interpreter.state import RunState
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language import compile_value
from orchestrator.model.plan import (
    Action,
    AnyNode,
    Call,
    Condition,
    Delay,
    End,
    Loop,
    Parallel,
    Plan,
    Set,
    Start,
    Switch,
    Wait,
)
from orchestrator.model.plan_nodes import iterate_nodes, list_scope_node_ids
from orchestrator.model.run import RESERVED_NAMES, InterventionKind, RepairKind, format_timestamp
from orchestrator.model.run_paths import is_inside

MAX_OVERRIDES = 100
"""What operators may decide on later steps of one flow: the state is carried over continue-as-new."""
AT_WORK = "the run is at work: pause it first"
MAX_LISTED = 10
"""Steps that a refusal names."""


class RepairRefused(Exception):
    """What an operator asks for cannot be done."""


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What an operator asks for."""

    kind: RepairKind
    step_id: str | None = None
    node_id: str | None = None
    path: str | None = None
    """The iteration or branch that is meant."""
    variables: Mapping[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    result: Any = None
    by: str = ""
    reason: str = ""

    @classmethod
    def from_json(cls, message: Any) -> "RepairRequest":
        """Read a message; raises RepairRefused for what is not a request."""
        if not isinstance(message, Mapping) or message.get("kind") not in get_args(RepairKind):
            raise RepairRefused(f"a repair is an object whose `kind` is one of {', '.join(get_args(RepairKind))}")
        for name in ("variables", "parameters"):
            if message.get(name) is not None and not isinstance(message[name], dict):
                raise RepairRefused(f"`{name}` must be an object")
        return cls(**{name: message[name] for name in cls.__dataclass_fields__ if name in message})


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about."""

    node: AnyNode
    path: str
    step_id: str | None = None
    """`None` for all steps of the node that begin later."""
    open: OpenNode | None = None
    """The step in progress; `None` where it has not begun."""


@dataclass(frozen=True, slots=True)
class PlannedRepair:
    """A request that can be carried out."""

    request: RepairRequest
    target: Target | None = None
    """`None` for variables."""
    scope: Pass | None = None
    """Where variables are set."""


def plan_repair(
    plan: Plan, state: RunState, repairs: Repairs, request: RepairRequest, *, is_at_work: bool
) -> PlannedRepair:
    """Find out how a request is carried out, without changing anything; raises RepairRefused.

    `is_at_work` says that actions are running and the flow is not paused: then only steps that wait can be changed.
    """
    if request.kind == "set_variables":
        if is_at_work:
            raise RepairRefused(AT_WORK)
        return PlannedRepair(request, scope=_find_scope(plan, state, request))
    target = _find_target(plan, state, request)
    if is_at_work and target.open is None:
        raise RepairRefused(AT_WORK)
    if target.step_id is not None and repairs.is_requested(target.step_id):
        raise RepairRefused(f"step {target.step_id!r} is being repaired already")
    _require_fit(request, target)
    if (target.open is None or request.kind == "set_parameters") and len(state.overrides) >= MAX_OVERRIDES:
        raise RepairRefused(f"a run holds at most {MAX_OVERRIDES} decisions on later steps")
    return PlannedRepair(request, target)


def _find_scope(plan: Plan, state: RunState, request: RepairRequest) -> Pass:
    """Return the pass whose variables are to be set."""
    if not request.variables:
        raise RepairRefused("`variables` is empty")
    reserved = [name for name in request.variables if name in RESERVED_NAMES]
    if reserved or "" in request.variables:
        raise RepairRefused(f"not the name of a variable: {', '.join(reserved) or 'empty text'}")
    wanted = state.path if request.path is None else request.path
    for each in iterate_passes(plan, state):
        if each.path == wanted:
            return each
    raise RepairRefused(_describe_missing_path(plan, state, wanted))


def _describe_missing_path(plan: Plan, state: RunState, path: str) -> str:
    paths = [each.path for each in iterate_passes(plan, state) if each.path][:MAX_LISTED]
    return f"no iteration or branch {path!r} is in progress (in progress: {', '.join(paths) or 'none'})"


def _find_target(plan: Plan, state: RunState, request: RepairRequest) -> Target:
    if request.step_id is not None:
        return _find_step(plan, state, request.step_id)
    node = next((node for node in iterate_nodes(plan.scope) if node.id == request.node_id), None)
    if node is None:
        known = [each.id for each in iterate_nodes(plan.scope)]
        hint = did_you_mean(request.node_id, known)
        raise RepairRefused(f"there is no node {request.node_id!r}{f': {hint}' if hint else ''}")
    if request.path and not any(each.path == request.path for each in iterate_passes(plan, state)):
        raise RepairRefused(_describe_missing_path(plan, state, request.path))
    steps = _list_steps(plan, state, node.id, request.path)
    if request.kind != "set_parameters" and steps:
        if len(steps) > 1:
            names = ", ".join(str(step.step_id) for step in steps[:MAX_LISTED])
            raise RepairRefused(f"several steps of {node.id!r} wait or come next: pass one of {names} as step_id")
        return steps[0]
    if request.kind in ("skip_wait", "retry_now"):
        raise RepairRefused(f"no step of {node.id!r} {'waits' if request.kind == 'skip_wait' else 'is in progress'}")
    _require_no_branch(plan, state, node.id)
    path = request.path or ""
    if not any(may_begin(each, node.id) for each in iterate_passes(plan, state) if is_inside(each.path, path)):
        raise RepairRefused(f"{node.id!r} has been run or passed by: no step of it begins later")
    return Target(node, path)


def _find_step(plan: Plan, state: RunState, step_id: str) -> Target:
    """Return a step that is in progress, or that may come next in its pass."""
    for each in iterate_passes(plan, state):
        in_progress = each.frame.open
        if in_progress is not None and in_progress.step.id == step_id:
            node = each.find_node(in_progress.step.node_id)
            if node is not None:
                return Target(node, each.path, step_id, in_progress)
        for node in each.scope.nodes:
            if make_step_id(each.path, node.id, each.frame.visits.get(node.id, 0) + 1) == step_id:
                if not may_begin(each, node.id):
                    raise RepairRefused(f"step {step_id!r} never begins: {node.id!r} has been run or passed by")
                return Target(node, each.path, step_id)
    ended = next((step for step in reversed(state.log) if step.id == step_id), None)
    if ended is not None:
        raise RepairRefused(f"step {step_id!r} has ended ({ended.status})")
    waiting = [step.id for step in state.open.values() if step.status == "waiting"][:MAX_LISTED]
    raise RepairRefused(f"there is no step {step_id!r} to repair (waiting: {', '.join(waiting) or 'none'})")


def _list_steps(plan: Plan, state: RunState, node_id: str, path: str | None) -> list[Target]:
    """Return the steps of a node that are in progress, or that come next."""
    found = []
    for each in iterate_passes(plan, state):
        node = each.find_node(node_id)
        if node is None or path not in (None, each.path):
            continue
        if each.frame.open is not None and each.frame.open.step.node_id == node_id:
            found.append(Target(node, each.path, each.frame.open.step.id, each.frame.open))
        elif each.find_next() == node_id:
            step_id = make_step_id(each.path, node_id, each.frame.visits.get(node_id, 0) + 1)
            found.append(Target(node, each.path, step_id))
    return found


def _require_no_branch(plan: Plan, state: RunState, node_id: str) -> None:
    """Refuse what would not reach a branch that has begun: it is a workflow of its own."""
    for each in iterate_passes(plan, state):
        owner = each.frame.open and each.find_node(each.frame.open.step.node_id)
        is_wide = isinstance(each.frame.open, LoopFrame) and each.frame.open.batches is not None
        if isinstance(owner, Loop) and is_wide and node_id in list_scope_node_ids(owner.body):
            raise RepairRefused(
                f"{node_id!r} is in a loop in batches: pass an iteration, such as {owner.id}[0], as path"
            )
        if isinstance(owner, Parallel) and not owner.inline:
            for index, branch in enumerate(owner.branches):
                if node_id in list_scope_node_ids(branch.scope) and each.frame.open is not None:
                    path = each.frame.open.step.make_inner_path(index)
                    raise RepairRefused(f"{node_id!r} is in a branch that has begun: pass {path!r} as path")


def _require_fit(request: RepairRequest, target: Target) -> None:
    """Refuse what cannot be done to this node, or to this step as it is now."""
    match request.kind:
        case "set_parameters":
            _require_parameters(request, target)
        case "set_result" | "skip_node":
            _require_replaceable(request, target)
        case "skip_wait":
            _require_skippable(target)
        case "retry_now":
            _require_retryable(target)
        case "set_variables":
            raise AssertionError("variables have no target")
        case _:
            assert_never(request.kind)


def _require_parameters(request: RepairRequest, target: Target) -> None:
    if not isinstance(target.node, Action):
        raise RepairRefused(f"{target.node.id!r} is not an action: it has no parameters")
    if isinstance(target.open, BusyNode):
        raise RepairRefused(f"step {target.step_id!r} is running: its parameters have been sent")
    if not request.parameters:
        raise RepairRefused("`parameters` is empty")
    require_templates(request.parameters)


def require_templates(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters with a mistake in a template."""
    try:
        compile_value(parameters)
    except ExpressionError as error:
        raise RepairRefused(f"`parameters`: {error}") from None


def _require_replaceable(request: RepairRequest, target: Target) -> None:
    node, step_id = target.node, target.step_id
    match node:
        case Action() | Call() | Loop() | Parallel() | Delay() | Wait():
            pass
        case Set() if request.kind == "skip_node":
            pass
        case Set() | Condition() | Switch() | Start() | End():
            # One that has failed and waits for an operator may be skipped, as by `resolve`.
            if request.kind == "set_result" or not isinstance(target.open, OperatorFrame):
                raise RepairRefused(f"{node.id!r} is a {node.kind} node: set the variables that it uses instead")
        case _:
            assert_never(node)
    match target.open:
        case BusyNode():
            raise RepairRefused(f"step {step_id!r} is running{_describe_call(target.open)}")
        case LoopFrame() | ParallelFrame():
            raise RepairRefused(f"step {step_id!r} has begun: repair the steps inside it")
        case DelayFrame() | WaitFrame() | OperatorFrame() | None:
            return
        case _:
            assert_never(target.open)


def _describe_call(busy: BusyNode) -> str:
    calls = (busy.step.waiting_for or {}).get("kind") == "child"
    return ": repair the run that it has called" if calls else ": pause the run, or cancel it"


def _require_skippable(target: Target) -> None:
    waits = target.open
    if isinstance(waits, WaitFrame):
        if not (target.node.ports.get("timeout") or target.node.exits.get("timeout")):
            hint = "skip the node, or give it a result"
            raise RepairRefused(f"{target.node.id!r} has no edge for its timeout, by which it would be left: {hint}")
    elif not (isinstance(waits, DelayFrame) or (isinstance(waits, LoopFrame) and waits.until is not None)):
        raise RepairRefused(f"step {target.step_id!r} is not in a delay or a wait")


def _require_retryable(target: Target) -> None:
    if isinstance(target.open, OperatorFrame):
        return
    if not isinstance(target.open, BusyNode) or not isinstance(target.node, Action):
        raise RepairRefused(f"step {target.step_id!r} is not between two attempts and does not wait for an operator")
    if target.node.local:
        raise RepairRefused(f"{target.node.id!r} is executed locally: its next attempt cannot be made sooner")


def carry_out(state: RunState, repairs: Repairs, planned: PlannedRepair, now: datetime) -> dict[str, Any]:
    """Do what was asked for; return it as it is recorded."""
    request, target = planned.request, planned.target
    names: list[str] = []
    path = ""
    if planned.scope is not None:
        path = planned.scope.path
        for name, value in (request.variables or {}).items():
            planned.scope.data.set(name, value)
            names.append(name)
    elif target is not None:
        path = target.path
        names = list(request.parameters or ()) if request.kind == "set_parameters" else []
        _carry_out_on_node(state, repairs, request, target)
    return record_intervention(
        state,
        request.kind,
        now,
        by=request.by,
        reason=request.reason,
        node_id=target and target.node.id,
        step_id=target and target.step_id,
        path=path,
        names=names,
    )


def _carry_out_on_node(state: RunState, repairs: Repairs, request: RepairRequest, target: Target) -> None:
    if request.kind == "set_parameters":
        state.overrides.append(
            Override(target.node.id, target.path, target.step_id, parameters=dict(request.parameters or {}))
        )
        return
    if isinstance(target.open, BusyNode):
        return  # between two attempts: Temporal itself makes the next one
    if request.kind == "set_variables":
        raise AssertionError("variables have no target")
    repair = Repair(request.kind, request.result)
    if target.open is not None and target.step_id is not None:
        repairs.request(target.step_id, repair)
    else:
        state.overrides.append(Override(target.node.id, target.path, target.step_id, repair=repair))


def record_intervention(
    state: RunState, kind: InterventionKind, now: datetime, *, by: str, reason: str, **more: Any
) -> dict[str, Any]:
    """Record what an operator has done, and return it; only what is not empty is written."""
    entry = {"kind": kind, "at": format_timestamp(now), "by": by, "reason": reason, **more}
    entry = {name: value for name, value in entry.items() if value}
    state.interventions.append(entry)
    return entry
