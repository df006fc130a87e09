"""Loops: one pass of the body for each item (SPEC §1, §2). Replay-sensitive."""

from collections.abc import Coroutine
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import parse_collection
from orchestrator.interpreter.failures import KNOWN_ERRORS, to_step_failure
from orchestrator.interpreter.frames import Frame, LoopFrame, Step
from orchestrator.interpreter.pool import run_pool
from orchestrator.interpreter.pure_nodes import Closed, failure_from_end
from orchestrator.interpreter.scopes import Machine, Place, new_frame
from orchestrator.interpreter.variables import MISSING, Data, restore
from orchestrator.model.plan import Loop


async def run_loop(machine: Machine, node: Loop, step: Step, frame: Frame, place: Place, left: list[str]) -> str:
    """Run all iterations, going on from `frame.loop` where the state was written down."""
    progress = frame.loop
    if progress is None:
        progress = _start(machine, node, step, frame, place)
        frame.loop = progress
    try:
        if node.max_concurrency == 1:
            await _one_after_another(machine, node, progress, place)
        else:
            await _beside_each_other(machine, node, progress, place)
    finally:
        restore(place.data.context, progress.shadowed)
    place.data.merge(progress.merged, progress.merged_steps)
    left.extend(progress.left)
    step.output = {"count": progress.index}
    if node.has_collect:
        step.output["items"] = progress.collected
    if progress.failed:
        step.warnings += (f"{progress.failed} of {progress.index} iterations failed",)
    return "next"


def _start(machine: Machine, node: Loop, step: Step, frame: Frame, place: Place) -> LoopFrame:
    items, count = None, None
    if node.while_ is None or node.collection is not None:
        items, count = parse_collection(machine.compiled.render(node.collection, place.env))
    context = place.data.context
    shadowed = {}
    if node.max_concurrency == 1:
        shadowed = {name: context.get(name, MISSING) for name in (node.item, f"{node.item}_index")}
    return LoopFrame(step, items, count, shadowed=shadowed)


def _more(machine: Machine, node: Loop, progress: LoopFrame, index: int, place: Place) -> bool:
    """Tell whether there is an iteration of that index; the loop variables are set already."""
    if progress.count is not None and index >= progress.count:
        return False
    if node.while_ is not None and not machine.compiled.condition(node.while_).evaluate(place.env):
        return False
    if node.max_iterations is not None and index >= node.max_iterations:
        raise StepFailed(f"the loop has more to do after max_iterations ({node.max_iterations})", recoverable=False)
    return True


def _set_variables(node: Loop, progress: LoopFrame, index: int, data: Data) -> None:
    item: Any = index
    if progress.items is not None:
        item = progress.items[index] if index < len(progress.items) else None
    data.context[node.item] = item
    data.context[f"{node.item}_index"] = index


async def _one_after_another(machine: Machine, node: Loop, progress: LoopFrame, place: Place) -> None:
    while True:
        path = f"{progress.step.id}[{progress.index}]"
        inner = Place(path, place.data, place.env, place.resumable)
        if progress.frame is None:
            _set_variables(node, progress, progress.index, place.data)
            if not _more(machine, node, progress, progress.index, place):
                return
            progress.frame = new_frame(node.body)
        iteration = progress.frame
        failed = False
        try:
            closed = await machine.run_scope(node.body, iteration, inner)
            check(closed)
            collected = machine.compiled.render(node.collect, place.env) if node.has_collect else None
        except KNOWN_ERRORS as error:
            if not node.continue_on_error:
                raise to_step_failure(error, node.id) from error
            failed, collected = True, None
        progress.frame = None
        place.data.settle(f"{path}/")
        _note(node, progress, iteration, collected, failed)
        progress.index += 1
        if not failed and node.break_when is not None and _breaks(machine, node, progress, place):
            return


def check(closed: Closed | None) -> None:
    """Fail when an `end` with outcome failed closed the scope."""
    if closed is not None and closed.failed:
        raise failure_from_end(closed)


def _note(node: Loop, progress: LoopFrame, iteration: Frame, collected: Any, failed: bool) -> None:
    progress.left.extend(node_id for node_id in iteration.left if node_id not in progress.left)
    progress.failed += failed
    if node.has_collect:
        progress.collected.append(collected)


def _breaks(machine: Machine, node: Loop, progress: LoopFrame, place: Place) -> bool:
    holds, seen = machine.compiled.condition(node.break_when).decide(place.env)
    if holds:
        progress.step.decision = (seen, "break")
    return holds


async def _beside_each_other(machine: Machine, node: Loop, progress: LoopFrame, place: Place) -> None:
    """Run some at a time, each on the variables as they were when the loop began."""
    ended: dict[int, tuple[Place, Frame, Any, bool]] = {}
    broken = False

    def launch(index: int) -> Coroutine[Any, Any, Any] | None:
        inner = machine.place(f"{progress.step.id}[{index}]", place.data.fork(), resumable=False)
        _set_variables(node, progress, index, inner.data)
        if broken or not _more(machine, node, progress, index, inner):
            return None
        return _iteration(machine, node, index, inner)

    def note(index: int, result: tuple[Place, Frame, Any, bool]) -> bool:
        nonlocal broken
        ended[index] = result
        if not result[3] and node.break_when is not None:
            broken = broken or _breaks(machine, node, progress, result[0])
        return False

    async def drained(index: int) -> None:
        _fold(node, progress, ended)
        await machine.effects.pass_boundary(resumable=place.resumable)

    total = progress.count if progress.count is not None else machine.plan.max_steps
    await run_pool(
        range(progress.index, total),
        node.max_concurrency,
        launch,
        note,
        hold=lambda: machine.effects.boundary_due(resumable=place.resumable),
        drained=drained,
    )
    _fold(node, progress, ended)


async def _iteration(machine: Machine, node: Loop, index: int, inner: Place) -> tuple[Place, Frame, Any, bool]:
    frame = new_frame(node.body)
    try:
        check(await machine.run_scope(node.body, frame, inner))
        collected = machine.compiled.render(node.collect, inner.env) if node.has_collect else None
    except KNOWN_ERRORS as error:
        if not node.continue_on_error:
            raise to_step_failure(error, node.id) from error
        return inner, frame, None, True
    return inner, frame, collected, False


def _fold(node: Loop, progress: LoopFrame, ended: dict[int, tuple[Place, Frame, Any, bool]]) -> None:
    """Take the results of iterations that have ended, in order."""
    for index in sorted(ended):
        inner, frame, collected, failed = ended[index]
        progress.merged.update(inner.data.variables())
        progress.merged_steps.update(inner.data.own_steps())
        _note(node, progress, frame, collected, failed)
        progress.index = index + 1
    ended.clear()
