"""Execute a plan, or one branch of it, from a state to its outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compensation import compensate
from orchestrator.interpreter.deadline import DeadlineExceeded, run_until
from orchestrator.interpreter.effects import BranchResult, Effects
from orchestrator.interpreter.failures import LimitReached, Rewind, build_error_document
from orchestrator.interpreter.parallels import select_branch_output
from orchestrator.interpreter.pure_nodes import Closed, failure_from_end
from orchestrator.interpreter.scopes import Machine
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.steps import attempt
from orchestrator.model.plan import Plan
from orchestrator.model.run import ErrorDocument, RunInfo, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    status: Literal["completed", "failed"]
    output: Any = None
    error: ErrorDocument | None = None


async def execute(plan: Plan, info: RunInfo, state: RunState, effects: Effects) -> Outcome:
    """Run a plan from its state to its end.

    `state` is kept up to date at every step. On cancellation compensations owed are made first.
    """
    machine = Machine(plan, info, state, effects, attempt)
    try:
        closed = await _before_deadline(machine)
        if closed is not None and closed.failed:
            state.output = closed.output
            raise failure_from_end(closed)
    except StepFailed as failure:
        return await _failed(machine, failure)
    except asyncio.CancelledError:
        if plan.compensate in ("on_cancel", "both"):
            await compensate(machine)
        _end(machine, "cancelled")
        raise
    state.output = select_branch_output(closed, state.data.variables())
    _end(machine, "completed")
    return Outcome("completed", state.output)


async def execute_branch(
    plan: Plan, info: RunInfo, state: RunState, effects: Effects, exports: Sequence[str]
) -> BranchResult:
    """Run one branch by itself; never raises for a failure or a cancellation, the result tells.

    Compensations are not made here: they are owed by the run.
    """
    machine = Machine(plan, info, state, effects, attempt)
    status: Literal["completed", "failed", "cancelled"] = "completed"
    closed: Closed | None = None
    try:
        closed = await _scope(machine)
        if closed is not None and closed.failed:
            raise failure_from_end(closed)
    except StepFailed as failure:
        status = "failed"
        state.failure = build_error_document(failure, effects.now())
    except asyncio.CancelledError:
        status = "cancelled"
    _end(machine, status)
    variables = state.data.variables() if status == "completed" else {}
    state.output = select_branch_output(closed, variables)
    own = state.data.own_steps()
    return BranchResult(
        status,
        output=state.output if status == "completed" else None,
        variables=variables,
        steps=own if "*" in exports else {name: own[name] for name in exports if name in own},
        compensations=tuple(state.compensations),
        left=tuple(state.frame.left) if status == "completed" else (),
        error=state.failure,
        steps_started=state.started,
    )


async def _scope(machine: Machine) -> Closed | None:
    """Run the flow's own scope; what only unwinds becomes a failure here."""
    place = machine.place(machine.state.path, machine.state.data, resumable=True)
    try:
        return await machine.run_scope(machine.plan.scope, machine.state.frame, place)
    except LimitReached:
        raise StepFailed(
            _describe_limit(machine),
            details={"limit": "max_steps", "max_steps": machine.plan.max_steps},
            recoverable=False,
        ) from None
    except Rewind as rewind:
        raise rewind.failure from None


def _describe_limit(machine: Machine) -> str:
    limit = machine.plan.max_steps
    # A branch's limit is what was left of the run's; the run's own failure names the number in the definition.
    if machine.state.path:
        return f"the branch needs more than the {limit} steps that were left of the run's max_steps"
    return f"the run needs more than max_steps ({limit}) steps"


async def _before_deadline(machine: Machine) -> Closed | None:
    """Run the scope, cancelled when `timeout_seconds` of the whole run are over."""
    limit = machine.plan.timeout_seconds
    if limit is None:
        return await _scope(machine)
    deadline = machine.state.started_at + timedelta(seconds=limit)
    try:
        return await run_until(machine.effects, deadline, "timeout of the run", _scope(machine))
    except DeadlineExceeded:
        raise StepFailed(
            f"the run took longer than timeout_seconds ({limit:g} s)",
            error_type="timeout_error",
            recoverable=False,
        ) from None


async def _failed(machine: Machine, failure: StepFailed) -> Outcome:
    state = machine.state
    state.failure = build_error_document(failure, machine.effects.now())
    _close_steps(machine, "failed")
    if machine.plan.compensate in ("on_failure", "both"):
        await compensate(machine)
    _end(machine, "failed")
    return Outcome("failed", state.output, state.failure)


def _close_steps(machine: Machine, status: Status) -> None:
    """Close what a limit or a cancellation left open."""
    for step in machine.state.open.values():
        step.status = status
        step.completed_at = machine.effects.now()
        step.waiting_for = None
    machine.state.open.clear()


def _end(machine: Machine, status: Status) -> None:
    _close_steps(machine, status)
    machine.state.status = status
    machine.state.completed_at = machine.effects.now()
