"""Begin a new run at a node of one that has ended, with what was known there. No I/O.

Only at nodes of the run's own scope: a loop, a parallel or a called workflow starts from its beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.frames import Frame, LoopFrame
from orchestrator.interpreter.rank_changes import RankChanges
from orchestrator.interpreter.state import RunState
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.plan import Plan
from orchestrator.model.run import RESERVED, RunInfo, format_timestamp

SUCCEEDED = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What is known about a run that has ended."""

    plan: Plan
    info: RunInfo
    state: Mapping[str, Any]
    """As `RunState.to_json` writes it."""
    failed_at: str | None
    """The node that the run failed at; it may be inside a loop."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How the new run differs from the old one."""

    from_node: str | None = None
    """The node to begin at; by default the one that has not ended well."""
    run_input: tuple[Any] | None = None
    """The run's input where it is replaced; it may be null."""
    variables: Mapping[str, Any] | None = None
    """Variables to set before the run begins."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A new run, ready to be started."""

    plan: Plan
    info: RunInfo
    state: dict[str, Any]
    from_node: str
    reused: list[str]
    """Ids of the old run's steps whose results the new one keeps, as far as the old record goes."""
    again: list[str]
    """Ids of the old run's steps that run again."""


def plan_rerun(old: EndedRun, plan: Plan, changes: Changes, run_id: str, now: datetime) -> Rerun:
    """Return a new run of a plan, which may be of another version; raises OperationRefused.

    A node that failed begins with what was known when it failed; any other one that has run with what was known at
    its first start. Other pending paths are resumed as well.
    """
    state = RunState.from_json(old.plan, old.state)
    if state.undone:
        raise OperationRefused(
            "the steps of this run have been undone by compensations: there is nothing to continue from",
            hint="start a new run of the workflow",
        )
    failed = _find_failed_node(old, state)
    node_id = changes.from_node or failed
    if node_id is None:
        raise OperationRefused("no node of this run has failed", hint="name the node to begin at as from_node")
    ranks = {node.id: rank for rank, node in enumerate(plan.scope.nodes)}
    if node_id not in ranks:
        raise OperationRefused(
            f"a run cannot begin at {node_id!r}: it is not a node outside of loops and branches",
            hint=did_you_mean(node_id, ranks) or f"one of {', '.join(list(ranks)[:20])}",
        )
    _close_loops(state)
    first = _go_back(state, node_id, failed)
    info = old.info.model_copy(
        update={"id": run_id, "attempt": old.info.attempt + 1, "rerun_of": old.info.id, "parent_run_id": None}
    )
    reused = [step.id for step in state.log if step.number < first and step.status in SUCCEEDED]
    again = [step.id for step in state.log if step.number >= first]
    state.data.context = _build_context(state, plan, info, changes, now)
    _move_to_plan(state, old.plan, plan, ranks)
    state.frame.activate(ranks[node_id])
    return Rerun(plan, info, _reset_record(state, now), node_id, reused, again)


def _find_failed_node(old: EndedRun, state: RunState) -> str | None:
    """Return the node of the run's own scope that has failed, was cancelled, or was in progress."""
    # The step that failed may be inside a loop in progress, and only the loop as a whole can run again.
    if state.frame.open is not None:
        return state.frame.open.step.node_id
    for step in reversed(state.log):
        if not step.path and step.status not in SUCCEEDED:
            return step.node_id
    return old.failed_at


def _close_loops(state: RunState) -> None:
    """Take the loop variables of loops in progress off again, from the inside out."""
    loops: list[LoopFrame] = []
    frame: Frame | None = state.frame
    while frame is not None and isinstance(frame.open, LoopFrame):
        loops.append(frame.open)
        frame = frame.open.frame
    for loop in reversed(loops):
        state.data.unshadow(loop.shadowed, loop.set_before)
    state.frame.open = None


def _go_back(state: RunState, node_id: str, failed: str | None) -> int:
    """Restore the data of when the node began; return the number of its first step that runs again."""
    visits = state.frame.visits.get(node_id, 0)
    # The undo log knows the first start of a node only. One that failed on a later pass of a cycle begins with what
    # is known now: going back to its first start would repeat the passes that went well.
    if visits and not (node_id == failed and visits > 1):
        number = state.data.rewind(f"/{node_id}", state.frame)
        if number is not None:
            return number
        if node_id != failed:
            raise OperationRefused(
                f"the data from before {node_id!r} is no longer stored: this run's record was too long",
                hint="begin at the node that failed, or start a new run of the workflow",
            )
    own = [step.number for step in state.log if not step.path and step.node_id == node_id]
    return own[-1] if own and node_id == failed else state.started + 1


def _build_context(state: RunState, plan: Plan, info: RunInfo, changes: Changes, now: datetime) -> dict[str, Any]:
    variables = dict(changes.variables or {})
    reserved = [name for name in variables if name in (*RESERVED, "secrets")]
    if reserved:
        raise OperationRefused(
            f"{', '.join(reserved)}: reserved names cannot be set as variables",
            hint="the run's input is replaced by `input`",
        )
    context = {**plan.variables, **state.data.context, **variables}
    context["workflow"] = {"id": plan.id, "name": plan.name, "version": plan.version}
    context["run"] = {"id": info.id, "started_at": format_timestamp(now), "attempt": info.attempt}
    if changes.run_input is not None:
        (context["input"],) = changes.run_input
    return context


def _move_to_plan(state: RunState, before: Plan, plan: Plan, ranks: Mapping[str, int]) -> None:
    """Rewrite ranks, which are positions in the old plan, to those of the same nodes in the new one."""

    def map_ranks(old_ranks: Sequence[int]) -> list[int]:
        names = [before.scope.nodes[rank].id for rank in old_ranks]
        missing = [name for name in names if name not in ranks]
        if missing:
            raise OperationRefused(
                f"version {plan.version} has no node {', '.join(missing)}, which this run has yet to run",
                hint="rerun on the version of the old run",
            )
        return sorted(ranks[name] for name in names)

    def map_changes(changes: Mapping[int, bool]) -> RankChanges:
        # A node that the plan no longer has was neither started nor activated as far as the new run can tell.
        names = {before.scope.nodes[rank].id: was_active for rank, was_active in changes.items()}
        return {ranks[name]: was_active for name, was_active in names.items() if name in ranks}

    state.data.retain({f"/{name}" for name in ranks}, state.frame)
    for entry in state.data.undo_log or ():
        # Lower than all numbers of the new run: going back to an entry of the old one takes all its steps off.
        entry.step_number, entry.changes = 0, map_changes(entry.changes)
    state.frame.active, state.frame.changes = map_ranks(state.frame.active), map_changes(state.frame.changes)


def _reset_record(state: RunState, now: datetime) -> dict[str, Any]:
    """Return the state with an empty record: the new run's steps are numbered from 1."""
    state.log.clear()
    state.overrides.clear()
    state.interventions.clear()
    state.started_at, state.rewinds, state.warnings = now, {}, []
    state.started = state.completed = state.dropped = 0
    return state.to_json()
