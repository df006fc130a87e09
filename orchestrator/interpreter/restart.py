"""Begin a new run at a node of one that has ended, with what was known there. No I/O.

Only nodes of the run's own scope: a loop, a parallel or a called workflow begins anew as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.variables import restore
from orchestrator.model.plan import Plan
from orchestrator.model.run import RESERVED, RunInfo, format_timestamp

SUCCEEDED = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What a run that has ended knows."""

    plan: Plan
    info: RunInfo
    state: Mapping[str, Any]
    """As `RunState.to_json` writes it."""
    failed_at: str | None
    """The node that the run failed at, also one inside a loop."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be other in the new run."""

    from_node: str | None = None
    """The node that has not ended well, unless given."""
    run_input: tuple[Any] | None = None
    """The run's input, where it is another; it may be null."""
    variables: Mapping[str, Any] | None = None
    """Variables that are set beforehand."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A new run, ready to be started."""

    plan: Plan
    info: RunInfo
    state: dict[str, Any]
    from_node: str
    reused: list[str]
    """Steps of the old run whose results the new one has, as far as the old one's record goes."""
    again: list[str]
    """Steps of the old run that are done again."""


def plan_rerun(old: EndedRun, plan: Plan, changes: Changes, run_id: str, now: datetime) -> Rerun:
    """Make a new run of a plan, which may be of another version; raises OperationRefused.

    A node that failed begins with what was known when it failed; any other one that has run with what was known at
    its first start. Paths that were still to be gone are gone, too.
    """
    state = RunState.from_json(old.plan, old.state)
    if any(step.id.endswith("/compensate") for step in state.log):
        raise OperationRefused(
            "what this run had done has been undone by compensations: nothing is left to go on from",
            hint="start the workflow anew",
        )
    failed = _find_failed_node(old, state)
    node_id = changes.from_node or failed
    if node_id is None:
        raise OperationRefused("no node of this run has failed", hint="name the node to begin at: from_node")
    ranks = {node.id: rank for rank, node in enumerate(plan.scope.nodes)}
    if node_id not in ranks:
        hint = f"one of {', '.join(list(ranks)[:20])}"
        raise OperationRefused(f"a run cannot begin at {node_id!r}: it is no node of the run's own scope", hint=hint)
    _close_loops(state)
    first = _go_back(state, node_id, failed)
    info = old.info.model_copy(
        update={"id": run_id, "attempt": old.info.attempt + 1, "retried_from": old.info.id, "parent_run_id": None}
    )
    return Rerun(
        plan,
        info,
        _write_state(old.plan, plan, state, node_id, ranks, _build_context(state, plan, info, changes, now), now),
        node_id,
        [step.id for step in state.log if step.number < first and step.status in SUCCEEDED],
        [step.id for step in state.log if step.number >= first],
    )


def _find_failed_node(old: EndedRun, state: RunState) -> str | None:
    """Name the node of the run's own scope that has failed, was cancelled, or was under way."""
    if state.frame.loop is not None:
        return state.frame.loop.step.node_id
    for step in reversed(state.log):
        if not step.path and step.status not in SUCCEEDED:
            return step.node_id
    return old.failed_at


def _close_loops(state: RunState) -> None:
    """Take the loop variables of loops under way off again, from the inside out."""
    loops, frame = [], state.frame
    while frame is not None and frame.loop is not None:
        loops.append(frame.loop)
        frame = frame.loop.frame  # type: ignore[assignment]
    for loop in reversed(loops):
        restore(state.data.context, loop.shadowed)
    state.frame.loop = None


def _go_back(state: RunState, node_id: str, failed: str | None) -> int:
    """Bring the data back to when the node began; give the number of its first step that is done again."""
    visits = state.frame.visits.get(node_id, 0)
    if visits and not (node_id == failed and visits > 1):
        number = state.data.rewind(f"/{node_id}", state.frame)
        if number is not None:
            return number
        if node_id != failed:
            raise OperationRefused(f"what was known before {node_id!r} is not kept: this run's record is too long")
    own = [step.number for step in state.log if not step.path and step.node_id == node_id]
    return own[-1] if own and node_id == failed else state.started + 1


def _build_context(state: RunState, plan: Plan, info: RunInfo, changes: Changes, now: datetime) -> dict[str, Any]:
    variables = dict(changes.variables or {})
    reserved = [name for name in variables if name in (*RESERVED, "secrets")]
    if reserved:
        raise OperationRefused(f"{', '.join(reserved)}: no names of variables", hint="the input is changed by `input`")
    context = {**plan.variables, **state.data.context, **variables}
    context["workflow"] = {"id": plan.id, "name": plan.name, "version": plan.version}
    context["run"] = {"id": info.id, "started_at": format_timestamp(now), "attempt": info.attempt}
    if changes.run_input is not None:
        (context["input"],) = changes.run_input
    return context


def _write_state(
    before: Plan,
    plan: Plan,
    state: RunState,
    node_id: str,
    ranks: Mapping[str, int],
    context: dict[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """Write down the state that the new run begins with: its record begins anew, its steps are numbered from 1."""

    def map_ranks(old_ranks: Sequence[int]) -> list[int]:
        """Give the ranks that these nodes have in the new plan."""
        names = [before.scope.nodes[rank].id for rank in old_ranks]
        missing = [name for name in names if name not in ranks]
        if missing:
            raise OperationRefused(
                f"version {plan.version} has no node {', '.join(missing)}, which this run had still to come to"
            )
        return sorted(ranks[name] for name in names)

    state.data.keep({f"/{name}" for name in ranks})
    written = state.to_json()
    marks = written["journal"]
    journal = marks and [[key, 0, *old, map_ranks(active), left] for key, _, *old, active, left in marks]
    active = sorted({ranks[node_id], *map_ranks(state.frame.active)})
    return {
        **written,
        "started_at": format_timestamp(now),
        "context": context,
        "journal": journal,
        "frame": {**written["frame"], "active": active, "loop": None},
        "log": [],
        "rewinds": {},
        "started": 0,
        "completed": 0,
        "dropped": 0,
    }
