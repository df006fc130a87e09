"""Parallels: concurrent branches and their join (SPEC §2.5, docs/flow.md). Replay-sensitive."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from orchestrator.interpreter.base import NodeRun, take_warnings
from orchestrator.interpreter.child_flows import build_part, has_used_up_steps, run_child, select_overrides
from orchestrator.interpreter.compensation import mark_given_up, undo_scope
from orchestrator.interpreter.compiled import parse_join
from orchestrator.interpreter.effects import BranchRequest, BranchResult
from orchestrator.interpreter.failures import (
    KNOWN_ERRORS,
    LimitReached,
    build_branch_failure,
    build_error_document,
    to_step_failure,
)
from orchestrator.interpreter.frames import Fork, Frame, ParallelFrame
from orchestrator.interpreter.pool import run_pool
from orchestrator.interpreter.pure_nodes import Exit, raise_if_failed, select_output
from orchestrator.model.plan import IN_FLIGHT_LIMIT, Branch, Parallel
from orchestrator.model.run import ErrorDocument

CANCELLED = BranchResult("cancelled")


async def run_parallel(run: NodeRun, node: Parallel) -> Exit:
    """Run the branches until the join is reached or can no longer be reached."""
    progress = _find_progress(run, node)
    join = _Join(node, progress)
    # One budget for all: what is left is read once, before any branch starts, so that it does not depend on which
    # branch is the first to end. Child workflows then count on their own and are added up after the join.
    steps_left = max(run.plan.max_steps - run.state.started, 0)

    def launch(index: int) -> Coroutine[Any, Any, BranchResult]:
        branch = node.branches[index]
        if node.inline and index not in progress.forks:
            progress.forks[index] = Fork(Frame.new(branch.scope), run.scope.data.fork())
        return _run_branch(run, join, index, steps_left)

    def record_end(index: int, result: BranchResult) -> bool:
        progress.forks.pop(index, None)
        return join.record_end(index, result)

    resumed = sorted([*progress.forks, *progress.children])
    launched = max([-1, *resumed, *progress.results])
    indices = [*resumed, *range(launched + 1, len(node.branches))]
    limit = run.interpreter.limit_in_flight(node.max_concurrency or IN_FLIGHT_LIMIT, run.step.inner_path)
    losers = await run_pool(indices, limit, launch, record_end, may_leave=join.is_reached)
    join.is_left = True
    run.interpreter.leave_losers(losers)
    # A branch that was never launched, or was cancelled before its end, has no result.
    results = [join.results.get(index, CANCELLED) for index in range(len(node.branches))]
    if run.state.started > run.plan.max_steps or any(has_used_up_steps(result, steps_left) for result in results):
        raise LimitReached
    run.step.output = {"branches": [_build_entry(result) for result in results]}
    if join.is_reached():
        _undo_failed_branches(run, join)
    if join.has_failed():
        index, error = join.find_first_failure()
        raise build_branch_failure(node, index, error, [result.status for result in results])
    # In branch order, not in the order of ends: which value wins must not depend on which branch was slower.
    reached: dict[str, None] = {}
    for result in results:
        if result.status == "completed":
            run.scope.data.merge(result.variables, result.steps)
            reached.update(dict.fromkeys(result.exits))
    return Exit("next", tuple(reached))


def _find_progress(run: NodeRun, node: Parallel) -> ParallelFrame:
    """Return the branches in progress where a state was read."""
    progress = run.scope.frame.open
    waits = tuple(branch.waits for branch in node.branches)
    if isinstance(progress, ParallelFrame):
        progress.waits = waits
        progress.is_busy = not node.inline
        return progress
    progress = ParallelFrame(run.step, _find_needed(run, node), waits=waits, is_busy=not node.inline)
    take_warnings(run.scope, run.step)
    run.scope.frame.open = progress
    return progress


def _build_entry(result: BranchResult) -> dict[str, Any]:
    return {"status": result.status, "output": result.output, "error": result.error and result.error.to_json()}


def _find_needed(run: NodeRun, node: Parallel) -> int | None:
    """Return how many branches must complete; `None` is all of them."""
    if not isinstance(node.join, str):
        return None if node.join is None else min(node.join, len(node.branches))
    return parse_join(run.render(node.join), len(node.branches))


async def _run_branch(run: NodeRun, join: "_Join", index: int, steps_left: int) -> BranchResult:
    """Run a branch; undo what it has done as soon as it is known that the run continues without it."""
    node, path = join.node, run.step.make_inner_path(index)
    try:
        if node.inline:
            result = await _run_inline(run, node.branches[index], path, join.forks[index])
        else:
            resume = join.children.get(index)
            result = await run_child(run, _build_request(run, node, index, path, steps_left, resume))
    except asyncio.CancelledError:
        mark_given_up(run.state, path)
        if join.is_reached():
            await undo_scope(run, path)
        raise
    if result.status != "completed" or join.is_left:
        mark_given_up(run.state, path)
        if join.is_reached() or (result.status == "failed" and node.on_branch_error == "ignore"):
            await undo_scope(run, path)
    return result


def _undo_failed_branches(run: NodeRun, join: "_Join") -> None:
    """Undo the branches that had failed before the join was reached; the join does not wait for it."""
    paths = [run.step.make_inner_path(index) for index, result in join.results.items() if result.status == "failed"]
    if not any(pending.is_in(path) for pending in run.state.compensations for path in paths):
        return

    async def undo_each() -> None:
        for path in reversed(paths):
            await undo_scope(run, path)

    run.interpreter.leave_losers([asyncio.get_running_loop().create_task(undo_each())])


class _Join:
    """Counts ended branches against what the join needs."""

    def __init__(self, node: Parallel, progress: ParallelFrame) -> None:
        self.node = node
        self.forks = progress.forks
        self.children = progress.children
        self.results = progress.results
        self.waits_for_all = progress.needed is None
        self.needed = len(node.branches) if progress.needed is None else progress.needed
        self.is_left = False
        """The parallel has continued: what is still under way ends for nothing."""

    def record_end(self, index: int, result: BranchResult) -> bool:
        """Record the end of a branch; return whether to cancel the rest."""
        self.results[index] = result
        if not self.waits_for_all and self.is_reached():
            return True
        return self.node.on_branch_error == "fail_fast" and not self._is_reachable()

    def is_reached(self) -> bool:
        """Return whether as many branches as needed have completed."""
        return self._count("completed") >= self.needed

    def has_failed(self) -> bool:
        """Return whether the join failed."""
        return self.node.on_branch_error != "ignore" and not self.is_reached()

    def find_first_failure(self) -> tuple[int, ErrorDocument]:
        """Return the failure to report: the first in branch order."""
        return next((index, result.error) for index, result in sorted(self.results.items()) if result.error is not None)

    def _is_reachable(self) -> bool:
        return len(self.node.branches) - self._count("failed") >= self.needed

    def _count(self, status: str) -> int:
        return sum(1 for result in self.results.values() if result.status == status)


def _build_request(
    run: NodeRun, node: Parallel, index: int, path: str, steps_left: int, resume: Mapping[str, Any] | None
) -> BranchRequest:
    """Return a branch as a plan of its own, with the part of the context that it names."""
    branch = node.branches[index]
    return BranchRequest(
        plan=build_part(run.plan, branch.scope, branch.workflows, steps_left),
        path=path,
        context=_select_context(branch, run.scope.data.context),
        waits=branch.waits,
        exports=branch.exports,
        title=f"{node.title} [{index}]",
        node_id=node.id,
        overrides=select_overrides(run, branch.scope, path),
        resume=resume,
    )


def _select_context(branch: Branch, context: dict[str, Any]) -> dict[str, Any]:
    """Return what a branch names of the context."""
    names = [name for name in branch.reads if name in context and name != "steps"]
    steps = context["steps"]
    chosen = steps if "*" in branch.steps else branch.steps
    steps = {node_id: steps[node_id] for node_id in chosen if node_id in steps}
    always = {"workflow": context["workflow"], "run": context["run"]}
    return {**always, **{name: context[name] for name in names}, "steps": steps}


async def _run_inline(run: NodeRun, branch: Branch, path: str, fork: Fork) -> BranchResult:
    inner = run.interpreter.open_fork(branch.scope, path, fork, (*run.scope.branches, path))
    try:
        closed = await run.interpreter.run_scope(inner)
        raise_if_failed(closed)
    except KNOWN_ERRORS as error:
        failure = to_step_failure(error, None)
        return BranchResult("failed", error=build_error_document(failure, run.effects.now()))
    variables = inner.data.collect_variables()
    return BranchResult(
        "completed",
        output=select_output(closed, variables),
        variables=variables,
        steps=inner.data.collect_steps(),
        exits=tuple(inner.frame.exits),
    )
