"""Loops: one pass of the body for each item (SPEC §1, §2). Replay-sensitive."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.base import NodeRun, ScopeRun, take_warnings
from orchestrator.interpreter.batches import is_wide, limit_collected, run_in_batches
from orchestrator.interpreter.compensation import mark_given_up, undo_scope
from orchestrator.interpreter.compiled import parse_collection, parse_max_failures, parse_seconds
from orchestrator.interpreter.failures import KNOWN_ERRORS, build_error_document, to_step_failure
from orchestrator.interpreter.frames import Fork, Frame, LoopFrame
from orchestrator.interpreter.iteration_result import IterationResult
from orchestrator.interpreter.loop_progress import (
    build_output,
    count_iterations,
    has_too_many_failures,
    is_overflow,
    list_loop_variables,
    record_iteration,
    require_few_failures,
    set_variables,
)
from orchestrator.interpreter.pool import run_pool
from orchestrator.interpreter.pure_nodes import Exit, raise_if_failed
from orchestrator.interpreter.step_record import current_step
from orchestrator.language import Env
from orchestrator.model.plan import Loop
from orchestrator.model.run import format_timestamp


async def run_loop(run: NodeRun, node: Loop) -> Exit:
    """Run all iterations, from those in progress on where a state was read."""
    frame, data = run.scope.frame, run.scope.data
    progress = frame.open
    if not isinstance(progress, LoopFrame):
        progress = frame.open = _start(run, node)
    # `finally`: an error edge, or a node that is gone back to, must not see the variables of a loop that has failed.
    try:
        if progress.limit is not None:
            limit_collected(run, progress)
        if node.max_concurrency == 1:
            await _run_in_sequence(run, node, progress)
        elif is_wide(run, node, progress):
            await run_in_batches(run, node, progress)
        else:
            await _run_concurrently(run, node, progress)
        await run.interpreter.leave_loop(progress)
    except StepFailed as failure:
        if is_overflow(node, failure):
            run.step.output = build_output(node, progress)
        raise
    finally:
        data.unshadow(progress.shadowed, progress.set_before)
        if progress.limit is not None:  # a batch that fails returns what it has done, too
            take_warnings(run.scope, run.step)
            run.step.output = build_output(node, progress) | {"warnings": list(run.step.warnings)}
    data.merge(progress.merged, progress.merged_steps)
    if progress.limit is not None:
        return Exit("next", tuple(progress.exits))
    step = run.step
    step.output = build_output(node, progress)
    if progress.failed:
        step.warnings += (f"{progress.failed} of {progress.index} iterations failed",)
    return Exit("next", tuple(progress.exits))


def _start(run: NodeRun, node: Loop) -> LoopFrame:
    items, count = None, None
    if node.while_ is None or node.collection is not None:
        items, count = parse_collection(run.render(node.collection))
    data = run.scope.data
    progress = LoopFrame(run.step, items, count)
    if node.max_failures is not None:
        progress.max_failures = parse_max_failures(run.render(node.max_failures), count_iterations(node, progress))
    take_warnings(run.scope, run.step)
    data.forget_steps(run.interpreter.list_owned(node.body))
    if node.max_concurrency == 1:
        names = list_loop_variables(node)
        # Concurrent iterations set them in forks of their own.
        progress.set_before = [name for name in names if name in data.changed]
        progress.shadowed = data.shadow(names)
    return progress


def _has_iteration(run: NodeRun, node: Loop, progress: LoopFrame, index: int, env: Env) -> bool:
    """Return whether there is an iteration of that index; the loop variables are set already."""
    count = count_iterations(node, progress)
    if count is not None and index >= count:
        return False
    if node.while_ is not None and not run.interpreter.compiled.condition(node.while_).evaluate(env):
        return False
    if node.max_iterations is not None and index >= node.max_iterations:
        raise StepFailed(f"the loop needs more than max_iterations ({node.max_iterations})", recoverable=False)
    return True


async def _run_in_sequence(run: NodeRun, node: Loop, progress: LoopFrame) -> None:
    outer = run.scope
    while progress.again:
        await _run_again(run, node, progress)
    while True:
        path = progress.step.make_inner_path(progress.index)
        if progress.frame is None:
            if progress.until is None and not await _find_iteration(run, node, progress):
                return
            await _wait_for_interval(run, node, progress)
            outer.data.forget_steps(run.interpreter.list_owned(node.body))
            progress.frame = Frame.new(node.body)
        inner = ScopeRun(node.body, progress.frame, path, outer.data, outer.env, outer.branches)
        result = await _run_iteration(run, node, inner)
        # No iteration is in progress: a state that is written down from here on begins with the next one.
        progress.frame = None
        outer.data.settle(f"{path}/")
        record_iteration(node, progress, result, progress.index)
        progress.index += 1
        require_few_failures(progress)
        breaks = _breaks(run, node, progress, result, outer.env)
        take_warnings(inner, progress.step)
        if breaks:
            return


async def _run_again(run: NodeRun, node: Loop, progress: LoopFrame) -> None:
    """Run an iteration again that had failed, after those behind it: variables are as these have left them."""
    outer, again = run.scope, progress.again[0]
    if progress.frame is None:
        if run.interpreter.boundary_due():
            await run.interpreter.pass_boundary()
        set_variables(node, progress, again.index, outer.data)
        outer.data.forget_steps(run.interpreter.list_owned(node.body))
        for node_id, entry in again.steps.items():
            outer.data.set_step(node_id, entry["status"], entry["output"], entry["error"])
        progress.frame = Frame.new(node.body) if again.frame is None else Frame.from_json(again.frame, outer.data)
    path = progress.step.make_inner_path(again.index)
    inner = ScopeRun(node.body, progress.frame, path, outer.data, outer.env, outer.branches)
    result = await _run_iteration(run, node, inner)
    progress.frame = None
    outer.data.settle(f"{path}/")
    progress.again.pop(0)
    progress.failed -= 1
    progress.errors = [entry for entry in progress.errors if entry["index"] != again.index]
    record_iteration(node, progress, result, again.index)
    take_warnings(inner, progress.step)


async def _find_iteration(run: NodeRun, node: Loop, progress: LoopFrame) -> bool:
    """Set the loop variables; return whether a sequential loop has another iteration."""
    # An iteration may evaluate much and run no node.
    if run.interpreter.boundary_due():
        await run.interpreter.pass_boundary()
    set_variables(node, progress, progress.index, run.scope.data)
    has_iteration = _has_iteration(run, node, progress, progress.index, run.scope.env)
    take_warnings(run.scope, progress.step)
    return has_iteration


async def _wait_for_interval(run: NodeRun, node: Loop, progress: LoopFrame) -> None:
    """Wait between two iterations, with the rest of the interval where a state was read."""
    step, resumed = progress.step, progress.until is not None
    if progress.until is None:
        if node.interval_seconds is None or progress.index == 0:
            return
        seconds = parse_seconds(run.render(node.interval_seconds), "interval_seconds")
        take_warnings(run.scope, step)
        now = run.effects.now()
        progress.until = now + timedelta(seconds=seconds)
        step.status = "waiting"
        step.waiting_for = {
            "kind": "delay", "until": format_timestamp(progress.until), "since": format_timestamp(now)
        }  # fmt: skip
    seconds_left = (progress.until - run.effects.now()).total_seconds()
    if seconds_left > 0:
        await run.wait(run.effects.sleep(seconds_left, node.title))
    elif resumed:
        await run.effects.pass_lineup()
    progress.until = None
    step.status, step.waiting_for = "running", None


async def _run_iteration(run: NodeRun, node: Loop, inner: ScopeRun) -> IterationResult:
    try:
        closed = await run.interpreter.run_scope(inner)
        current_step.set(run.step.id)
        raise_if_failed(closed)
        collected = run.interpreter.compiled.render(node.collect, inner.env) if node.has_collect else None
    except asyncio.CancelledError:
        mark_given_up(run.state, inner.path)
        raise
    except KNOWN_ERRORS as error:
        current_step.set(run.step.id)
        mark_given_up(run.state, inner.path)
        if not node.continue_on_error:
            raise to_step_failure(error, node.id) from error
        failure = build_error_document(to_step_failure(error, None), run.effects.now())
        await undo_scope(run, inner.path)
        run.state.forget_rewinds(inner.path)
        return IterationResult(error=failure.to_json(), exits=tuple(inner.frame.exits))
    run.state.forget_rewinds(inner.path)
    return IterationResult(collected, exits=tuple(inner.frame.exits))


def _breaks(run: NodeRun, node: Loop, progress: LoopFrame, result: IterationResult, env: Env) -> bool:
    """Return whether `break_when` holds after an iteration that went well."""
    if result.error is not None or node.break_when is None:
        return False
    holds, seen = run.interpreter.compiled.condition(node.break_when).decide(env)
    if holds:
        progress.step.decision = (seen, "break")
    return holds


async def _run_concurrently(run: NodeRun, node: Loop, progress: LoopFrame) -> None:
    """Run up to `max_concurrency` iterations at a time, each on the variables as they were when the loop began."""
    owned = run.interpreter.list_owned(node.body)

    def launch(index: int) -> Coroutine[Any, Any, IterationResult] | None:
        fork = progress.forks.get(index)
        resumed = fork is not None
        if fork is None:
            fork = Fork(Frame.new(node.body), run.scope.data.fork())
            set_variables(node, progress, index, fork.data)
        path = progress.step.make_inner_path(index)
        inner = run.interpreter.open_fork(node.body, path, fork, run.scope.branches)
        if not resumed:
            if progress.broken:
                return None
            has_iteration = _has_iteration(run, node, progress, index, inner.env)
            take_warnings(inner, progress.step)
            if not has_iteration:
                return None
            fork.data.forget_steps(owned)
            progress.forks[index] = fork
            if index - 1 in progress.ended:
                progress.ended[index - 1] = replace(progress.ended[index - 1], steps={})
        return _run_fork(run, node, progress, inner)

    def record_end(index: int, result: IterationResult) -> bool:
        del progress.forks[index]
        # `_merge` takes the step results of the last iteration only: those of others need not be carried along.
        if index + 1 in progress.forks or index + 1 in progress.ended:
            result = replace(result, steps={})
        progress.ended[index] = result
        _merge(node, progress)
        # False also after a break: iterations in progress are awaited, because they have begun to take effect.
        return has_too_many_failures(progress)

    resumed = sorted(progress.forks)
    launched = max([progress.index - 1, *resumed, *progress.ended])
    # A bare `while` has no count: max_steps bounds it, even if an iteration takes no step.
    count = count_iterations(node, progress)
    total = run.plan.max_steps if count is None else count
    limit = run.interpreter.limit_in_flight(progress.limit or node.max_concurrency, progress.step.inner_path)
    await run_pool(chain(resumed, range(launched + 1, total)), limit, launch, record_end)
    require_few_failures(progress)


async def _run_fork(run: NodeRun, node: Loop, progress: LoopFrame, inner: ScopeRun) -> IterationResult:
    # An iteration may evaluate much and run no node, before which it would pass a boundary.
    if not node.body.nodes and run.interpreter.boundary_due():
        await run.interpreter.pass_boundary()
    result = await _run_iteration(run, node, inner)
    if _breaks(run, node, progress, result, inner.env):
        progress.broken = True
    take_warnings(inner, progress.step)
    return replace(result, variables=inner.data.collect_variables(), steps=inner.data.collect_steps())


# What iterations have set is merged in the order of items, not of ends: a replay and the simulator then agree with the
# first run, however long each iteration took. It is set in the flow when the loop ends, so that no iteration sees what
# another one did only because it was slower.
def _merge(node: Loop, progress: LoopFrame) -> None:
    """Take over what iterations have set, up to the first that has not ended."""
    loop_variables = list_loop_variables(node)
    while (result := progress.ended.pop(progress.index, None)) is not None:
        variables = result.variables
        progress.merged.update({name: variables[name] for name in variables if name not in loop_variables})
        # As after a sequential loop: the results are those of the last iteration.
        progress.merged_steps = result.steps
        record_iteration(node, progress, result, progress.index)
        progress.index += 1
