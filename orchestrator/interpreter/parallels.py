"""Parallels: branches beside each other, joined (SPEC §2.5, docs/flow.md). Replay-sensitive."""

from collections.abc import Coroutine
from typing import Any

from orchestrator.interpreter.effects import BranchRequest, BranchResult
from orchestrator.interpreter.failures import (
    KNOWN_ERRORS,
    LimitReached,
    build_branch_failure,
    build_error_document,
    to_step_failure,
)
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.loops import check
from orchestrator.interpreter.pool import run_pool
from orchestrator.interpreter.pure_nodes import Closed
from orchestrator.interpreter.scopes import Machine, Place, new_frame
from orchestrator.model.plan import IN_FLIGHT_LIMIT, Branch, Parallel
from orchestrator.model.run import ErrorDocument

CANCELLED = BranchResult("cancelled")


async def run_parallel(machine: Machine, node: Parallel, step: Step, place: Place, left: list[str]) -> str:
    """Run the branches until the join is reached or cannot be."""
    join = _Join(node)
    # One budget for all: what is left is read once, before any branch starts, so that it does not depend on which
    # branch is the first to end. Child workflows then count on their own and are added up after the join.
    steps_left = max(machine.plan.max_steps - machine.state.started, 0)

    def launch(index: int) -> Coroutine[Any, Any, BranchResult]:
        path = f"{step.id}[{index}]"
        if node.inline:
            return _inline(machine, node.branches[index], path, place)
        return _child(machine, node, node.branches[index], path, index, place, steps_left)

    limit = node.max_concurrency or IN_FLIGHT_LIMIT
    await run_pool(range(len(node.branches)), limit, launch, join.ended)
    results = [join.results.get(index, CANCELLED) for index in range(len(node.branches))]
    if machine.state.started > machine.plan.max_steps or any(_has_no_steps_left(r, steps_left) for r in results):
        raise LimitReached
    shown = [{"status": result.status, "output": result.output} for result in results]
    step.output = {"branches": shown}
    if join.unreached():
        index, error = join.first_failure()
        raise build_branch_failure(node, index, error, [result.status for result in results])
    for result in results:
        if result.status == "completed":
            place.data.merge(result.variables, result.steps)
            left.extend(node_id for node_id in result.left if node_id not in left)
    return "next"


def _has_no_steps_left(result: BranchResult, steps_left: int) -> bool:
    """Return whether a child failed because it took every step that was left of the run's `max_steps`."""
    error = result.error
    return error is not None and result.steps_started >= steps_left and error.details.get("limit") == "max_steps"


class _Join:
    """Counts branches against what the join asks."""

    def __init__(self, node: Parallel) -> None:
        self.node = node
        self.results: dict[int, BranchResult] = {}
        self.needed = len(node.branches) if node.join is None else min(node.join, len(node.branches))

    def ended(self, index: int, result: BranchResult) -> bool:
        """Note an end; tell whether the rest is to be cancelled."""
        self.results[index] = result
        if self.node.join is not None and self._count("completed") >= self.needed:
            return True
        return self.node.on_branch_error == "fail_fast" and not self._reachable()

    def unreached(self) -> bool:
        """Tell, after all, whether the step fails."""
        return self.node.on_branch_error != "ignore" and self._count("completed") < self.needed

    def first_failure(self) -> tuple[int, ErrorDocument]:
        """Give the failure to report: the first in branch order."""
        return next((index, result.error) for index, result in sorted(self.results.items()) if result.error is not None)

    def _reachable(self) -> bool:
        return len(self.node.branches) - self._count("failed") >= self.needed

    def _count(self, status: str) -> int:
        return sum(1 for result in self.results.values() if result.status == status)


async def _child(
    machine: Machine, node: Parallel, branch: Branch, path: str, index: int, place: Place, steps_left: int
) -> BranchResult:
    plan = machine.plan
    part = plan.model_copy(
        update={
            "scope": branch.scope,
            "variables": {},
            "max_steps": steps_left,
            "timeout_seconds": None,
            "input_schema": None,
            "workflows": {name: plan.workflows[name] for name in branch.workflows},
        }
    )
    result = await machine.effects.run_branch(
        BranchRequest(
            plan=part,
            path=path,
            context=_given(branch, place.data.context),
            waits=branch.waits,
            exports=branch.exports,
            title=f"{node.title} [{index}]",
            node_id=node.id,
        )
    )
    machine.state.compensations.extend(result.compensations)
    machine.state.started += result.steps_started
    machine.state.completed += result.steps_started
    return result


def _given(branch: Branch, context: dict[str, Any]) -> dict[str, Any]:
    """Pick what a branch names out of the context."""
    names = [name for name in branch.reads if name in context and name != "steps"]
    steps = context["steps"]
    if "*" not in branch.steps:
        steps = {node_id: steps[node_id] for node_id in branch.steps if node_id in steps}
    always = {"workflow": context["workflow"], "run": context["run"]}
    return {**always, **{name: context[name] for name in names}, "steps": steps}


async def _inline(machine: Machine, branch: Branch, path: str, place: Place) -> BranchResult:
    inner = machine.place(path, place.data.fork(), resumable=False)
    frame = new_frame(branch.scope)
    try:
        closed = await machine.run_scope(branch.scope, frame, inner)
        check(closed)
    except KNOWN_ERRORS as error:
        failure = to_step_failure(error, None)
        return BranchResult("failed", error=build_error_document(failure, machine.effects.now()))
    variables = inner.data.variables()
    return BranchResult(
        "completed",
        output=select_branch_output(closed, variables),
        variables=variables,
        steps=inner.data.own_steps(),
        left=tuple(frame.left),
    )


def select_branch_output(closed: Closed | None, variables: dict[str, Any]) -> Any:
    """Give a scope's output: what its closing `end` says, else the variables it set."""
    return closed.output if closed is not None and closed.has_output else variables
