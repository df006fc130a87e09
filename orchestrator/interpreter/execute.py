"""Execute a plan, or one branch of it, from a state to its outcome. Replay-sensitive."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from orchestrator.errors import StepFailed
from orchestrator.interpreter.base import ScopeRun
from orchestrator.interpreter.compensation import compensate
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.deadline import DeadlineExceeded, run_until
from orchestrator.interpreter.effects import BranchResult, Effects
from orchestrator.interpreter.failures import HistoryFull, LimitReached, Rewind, build_error_document
from orchestrator.interpreter.pool import is_cancelled
from orchestrator.interpreter.pure_nodes import Closed, raise_if_failed, select_output
from orchestrator.interpreter.scopes import ScopeInterpreter
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import ErrorDocument, RunInfo, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    status: Literal["completed", "failed"]
    output: Any = None
    error: ErrorDocument | None = None


async def execute(
    plan: Plan, info: RunInfo, state: RunState, effects: Effects, compiled: Compiled | None = None
) -> Outcome:
    """Run a plan from its state to its end.

    `state` is kept up to date at every step. Pending compensations are called before a cancellation is raised.
    `compiled` is what other runs of this very plan have compiled.
    """
    interpreter = ScopeInterpreter(plan, info, state, effects, compiled)
    try:
        closed = await _run_before_deadline(interpreter)
        if closed is not None and closed.failed:
            state.output = closed.output
        raise_if_failed(closed)
        await interpreter.wait_for_losers()
    except StepFailed as failure:
        if not is_cancelled():
            return await _fail(interpreter, failure)
    except asyncio.CancelledError:
        await _cancel(interpreter)
        raise
    # A cancellation that was accepted does not end as completed, even if the last step could not be stopped.
    if is_cancelled():
        await _cancel(interpreter)
        raise asyncio.CancelledError
    state.output = select_output(closed, state.data.collect_variables())
    _end(interpreter, "completed")
    return Outcome("completed", state.output)


async def execute_branch(
    plan: Plan,
    info: RunInfo,
    state: RunState,
    effects: Effects,
    exports: Sequence[str],
    compiled: Compiled | None = None,
) -> BranchResult:
    """Run one branch by itself; see `run_branch`."""
    return await run_branch(ScopeInterpreter(plan, info, state, effects, compiled), exports)


async def run_branch(interpreter: ScopeInterpreter, exports: Sequence[str]) -> BranchResult:
    """Run one branch by itself; a failure or a cancellation is returned, never raised.

    Compensations are returned, not called: only the run as a whole knows whether they are needed.
    """
    state = interpreter.state
    status: Literal["completed", "failed", "cancelled"] = "completed"
    closed: Closed | None = None
    try:
        closed = await run_whole_scope(interpreter)
        raise_if_failed(closed)
    except StepFailed as failure:
        status = "failed"
        state.failure = build_error_document(failure, interpreter.effects.now())
    except asyncio.CancelledError:
        # Not raised: the result has to carry the compensations of what the branch had completed.
        status = "cancelled"
    with contextlib.suppress(asyncio.CancelledError):  # raised only when they have ended
        await interpreter.wait_for_losers()
    _end(interpreter, status)
    variables = state.data.collect_variables() if status == "completed" else {}
    state.output = select_output(closed, variables)
    own = state.data.collect_steps()
    return BranchResult(
        status,
        output=state.output if status == "completed" else None,
        variables=variables,
        steps=own if "*" in exports else {name: own[name] for name in exports if name in own},
        compensations=tuple(state.compensations),
        exits=tuple(state.frame.exits) if status == "completed" else (),
        error=state.failure,
        steps_started=state.started,
    )


async def walk(plan: Plan, info: RunInfo, state: RunState, effects: Effects, compiled: Compiled) -> None:
    """Run a flow's own scope as far as its effects allow; how it ends is for `execute` to handle."""
    interpreter = ScopeInterpreter(plan, info, state, effects, compiled)
    with contextlib.suppress(StepFailed):
        await run_whole_scope(interpreter)


async def run_whole_scope(interpreter: ScopeInterpreter) -> Closed | None:
    """Run the flow's own scope; a limit or a rewind that no scope has caught becomes a failure here."""
    plan, state = interpreter.plan, interpreter.state
    env = interpreter.make_env(state.data.context)
    try:
        return await interpreter.run_scope(ScopeRun(plan.scope, state.frame, state.path, state.data, env))
    except LimitReached:
        raise StepFailed(
            _describe_limit(plan.max_steps, is_branch=bool(state.path)),
            details={"limit": "max_steps", "max_steps": plan.max_steps},
            recoverable=False,
        ) from None
    except HistoryFull as full:
        raise StepFailed(
            f"the history of the run is full: it has {full.events:,} events and {full.size:,} bytes."
            " Store large data elsewhere and pass references, or start a workflow for each part of the work",
            details={"limit": "history", "events": full.events, "bytes": full.size},
            recoverable=False,
            node_id=full.node_id,
        ) from None
    except Rewind as rewind:
        raise rewind.failure from None


def _describe_limit(max_steps: int, *, is_branch: bool) -> str:
    # A branch's limit is what was left of the run's; the run's own failure names the number in the definition.
    if is_branch:
        return f"the branch needs more than the {max_steps} steps that were left of the run's max_steps"
    return f"the run needs more than max_steps ({max_steps}) steps"


async def _run_before_deadline(interpreter: ScopeInterpreter) -> Closed | None:
    """Run the scope and cancel it when `timeout_seconds` of the whole run are over."""
    limit = interpreter.plan.timeout_seconds
    work = run_whole_scope(interpreter)
    if limit is None:
        return await work
    # The start of the run, which is carried over continue-as-new: the limit is for all its executions together.
    deadline = interpreter.state.started_at + timedelta(seconds=limit)
    try:
        return await run_until(interpreter.effects, deadline, "timeout of the run", work)
    except DeadlineExceeded:
        raise StepFailed(
            f"the run took longer than timeout_seconds ({limit:g} s)",
            error_type="timeout_error",
            recoverable=False,
        ) from None


async def _fail(interpreter: ScopeInterpreter, failure: StepFailed) -> Outcome:
    state = interpreter.state
    state.failure = build_error_document(failure, interpreter.effects.now())
    await interpreter.wait_for_losers()
    # `failure` is set by now: a cancellation that comes during compensation waits for it (`_run_shielded`).
    _close_open_steps(interpreter, "failed")
    if interpreter.plan.compensate in ("on_failure", "both"):
        await _undo_all(interpreter)
    _end(interpreter, "failed")
    return Outcome("failed", state.output, state.failure)


async def _undo_all(interpreter: ScopeInterpreter) -> None:
    interpreter.state.undone = bool(interpreter.state.compensations)
    await compensate(interpreter)


async def _cancel(interpreter: ScopeInterpreter) -> None:
    await interpreter.wait_for_losers()
    # A called workflow that its caller continues or fails without is a scope that is given up.
    if interpreter.plan.compensate in ("on_failure" if interpreter.state.given_up else "on_cancel", "both"):
        await _undo_all(interpreter)
    _end(interpreter, "cancelled")


def _close_open_steps(interpreter: ScopeInterpreter, status: Status) -> None:
    """Close what a limit or a cancellation has left open; these steps are not counted as completed."""
    for step in interpreter.state.open.values():
        step.close(status, interpreter.effects.now())
    interpreter.state.open.clear()


def _end(interpreter: ScopeInterpreter, status: Status) -> None:
    _close_open_steps(interpreter, status)
    interpreter.state.status = status
    interpreter.state.completed_at = interpreter.effects.now()
