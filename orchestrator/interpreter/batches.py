"""Wide loops: batches of iterations, each in a child workflow. Replay-sensitive.

A batch is the loop itself, begun in the middle: its frame holds the items of the batch alone, and its iterations have
the indices and paths that they have in the whole loop. With 1,200 items in batches of 500, at most ten at a time:

    the flow                       the child workflow of `each[500..999]`
      LoopFrame "each"  index 500    LoopFrame "each"  first 500  index 617  limit 5
        batch 0 has ended              Fork 617 … Fork 621
        batches 1 and 2 are running

The flow keeps counts, the first errors and what `collect` asks for, and merges batches in the order of items.
"""

from collections.abc import Coroutine, Mapping
from functools import cached_property
from typing import Any

from orchestrator.interpreter.base import NodeRun, add_warnings
from orchestrator.interpreter.child_flows import build_part, has_used_up_steps, run_child, select_overrides
from orchestrator.interpreter.child_results import BatchEnd, Batches
from orchestrator.interpreter.effects import BranchRequest, BranchResult
from orchestrator.interpreter.failures import LimitReached, build_recorded_failure
from orchestrator.interpreter.frames import Frame, LoopFrame
from orchestrator.interpreter.loop_progress import (
    count_failures,
    count_iterations,
    has_too_many_failures,
    is_overflow,
    record_batch,
    require_few_failures,
)
from orchestrator.interpreter.pool import run_pool
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Loop, Scope, Spread
from orchestrator.model.run import ErrorDocument
from orchestrator.model.run_paths import make_batch_path

ITERATIONS_AT_ONCE = 5
"""Of one batch, where `max_concurrency` allows more than one batch: several workflows do more than one does, and the
order in which iterations begin is still near that of the items."""
BATCHES_AT_ONCE = 20
"""Each holds its items and its plan in the memory of a worker."""


def is_wide(run: NodeRun, node: Loop, progress: LoopFrame) -> bool:
    """Return whether a loop is spread over child workflows."""
    count = count_iterations(node, progress)
    if node.spread is None or count is None or count <= node.spread.size:
        return False
    # A rerun on another version may continue a loop that has begun in one workflow.
    if progress.forks or progress.ended or progress.index % node.spread.size:
        return False
    # Inline branches each read their own copy of an event, and a child workflow would have one copy for all of them.
    reads_copies = bool(node.spread.waits and run.scope.branches)
    return not reads_copies and (node.max_iterations is None or count <= node.max_iterations)


async def run_in_batches(run: NodeRun, node: Loop, progress: LoopFrame) -> None:
    """Run the batches that have not ended, several at a time."""
    if node.spread is None:
        raise AssertionError("a loop without a plan for its batches")
    if progress.batches is None:
        progress.batches = Batches()
    limit_collected(run, progress)
    await _Spreading(run, node, node.spread, progress, progress.batches).run_all()


def limit_collected(run: NodeRun, progress: LoopFrame) -> None:
    """Set the limit for what a wide loop, or a batch of it, collects; the rest of a payload is for all beside it."""
    progress.collect_limit = run.interpreter.info.max_payload_bytes * 3 // 4


class _Spreading:
    """A wide loop in progress."""

    def __init__(self, run: NodeRun, node: Loop, spread: Spread, progress: LoopFrame, batches: Batches) -> None:
        self.run = run
        self.node = node
        self.spread = spread
        self.progress = progress
        self.batches = batches
        self.count = count_iterations(node, progress) or 0
        self.failure: ErrorDocument | None = None
        """Why a batch has failed."""
        # Child workflows count on their own and are added up after the loop, as branches are.
        self.steps_left = max(run.plan.max_steps - run.state.started, 0)
        self.is_out_of_steps = False
        self.at_once = min(
            -(-node.max_concurrency // min(ITERATIONS_AT_ONCE, spread.size)),
            -(-self.count // spread.size),  # slots without a batch would leave iterations unused
            BATCHES_AT_ONCE,
        )
        self.free_slots = list(range(self.at_once))
        self.slots: dict[int, int] = {}
        """The slot of each batch in progress: it decides how many of the iterations at a time are its own."""

    @cached_property
    def scope(self) -> Scope:
        """The scope of a batch: the loop alone, whose outcome is for the flow to handle."""
        alone: dict[str, Any] = {
            "ports": {}, "exits": {}, "when": None, "outputs": (), "on_error": None, "error_port": False,
            "limit_seconds": None, "collection": None, "max_failures": None, "max_iterations": None, "spread": None,
        }  # fmt: skip
        return Scope(nodes=(self.node.model_copy(update=alone),))

    async def run_all(self) -> None:
        """Run the batches; raise StepFailed where one has failed, or too many iterations have."""
        size = self.spread.size
        upcoming = range(self.progress.index // size, -(-self.count // size))
        indices = [index for index in upcoming if index not in self.batches.ended]
        limit = self.run.interpreter.limit_in_flight(self.at_once, self.run.step.inner_path)
        await run_pool(indices, limit, self._launch, self._record_end)
        if self.is_out_of_steps or self.run.state.started > self.run.plan.max_steps:
            raise LimitReached
        require_few_failures(self.progress)
        if self.failure is not None:
            raise build_recorded_failure(self.failure)

    def _launch(self, index: int) -> Coroutine[Any, Any, BranchResult]:
        slot = self.free_slots.pop(0) if self.free_slots else self.at_once
        self.slots[index] = slot
        share, rest = divmod(self.node.max_concurrency, self.at_once)
        return self._run_batch(index, max(share + (slot < rest), 1))

    async def _run_batch(self, index: int, limit: int) -> BranchResult:
        # No node comes before the next batch: without this, a long loop would never continue as new.
        if self.run.interpreter.boundary_due():
            await self.run.interpreter.pass_boundary(starts_child=True)
        request = self._build_request(index, limit)
        self.batches.running += 1
        try:
            return await run_child(self.run, request)
        finally:
            self.batches.running -= 1

    def _record_end(self, index: int, result: BranchResult) -> bool:
        """Record the end of a batch; return whether to cancel the rest."""
        self.free_slots = sorted([*self.free_slots, self.slots.pop(index)])
        self.batches.children.pop(index, None)
        end = BatchEnd.from_result(result, self.node.id)
        self.is_out_of_steps = self.is_out_of_steps or has_used_up_steps(result, self.steps_left)
        if result.status == "completed":
            self.batches.ended[index] = end
            self._merge()
            return has_too_many_failures(self.progress) or self.run.state.started > self.run.plan.max_steps
        if result.status == "failed":
            self._record_failure(index, end, result.error)
        return result.status == "failed"

    def _record_failure(self, index: int, end: BatchEnd, error: ErrorDocument | None) -> None:
        if self.progress.max_failures is not None and end.failed:
            self.batches.stopped.append(end)
        if is_overflow(self.node, error) and self.progress.index == index * self.spread.size:
            record_batch(self.node, self.progress, end)
        if self.failure is None:
            self.failure = error

    def _merge(self) -> None:
        """Take over what batches have done, up to the first that has not ended."""
        while (end := self.batches.ended.pop(self.progress.index // self.spread.size, None)) is not None:
            record_batch(self.node, self.progress, end)
            add_warnings(self.run.step, end.warnings, self.run.scope.env.warnings.limit)
            if self.progress.index == self.count:
                return

    def _build_request(self, index: int, limit: int) -> BranchRequest:
        step = self.run.step
        first = index * self.spread.size
        end = min(first + self.spread.size, self.count)
        path = make_batch_path(step.inner_path, first, end - 1)
        return BranchRequest(
            plan=build_part(self.run.plan, self.scope, self.spread.workflows, self.steps_left),
            path=path,
            context=select_context(self.run.scope.data.context, self.spread.paths),
            waits=self.spread.waits,
            exports=(self.node.id, *self.spread.exports),
            title=f"{self.node.title} [{first}..{end - 1}]",
            node_id=self.node.id,
            overrides=select_overrides(self.run, self.node.body, path),
            frame=self._build_frame(first, end, limit),
            resume=self.batches.children.get(index),
        )

    def _build_frame(self, first: int, end: int, limit: int) -> dict[str, Any]:
        """Return the frame that a batch begins with."""
        step, progress, size = self.run.step, self.progress, self.node.batch_size or 1
        own = Step(step.id, step.node_id, step.path, "running", step.started_at)
        own.operator_retries = step.operator_retries
        items = None if progress.items is None else progress.items[first * size : end * size]
        loop = LoopFrame(own, items, min(end * size, progress.count or 0), index=first, first=first, limit=limit)
        if progress.max_failures is not None:
            loop.max_failures = max(progress.max_failures - count_failures(progress), 0)
        return Frame([], open=loop).to_json(self.run.scope.data)


def select_context(context: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """Return what a batch names of the context: an input may hold all items of the loop."""
    selected: dict[str, Any] = {"workflow": context["workflow"], "run": context["run"], "steps": {}}
    for path in paths:
        _copy_path(context, selected, path)
    return {**selected, "steps": dict(selected["steps"])}  # the batch adds to its own


def _copy_path(source: Mapping[str, Any], target: dict[str, Any], path: tuple[str, ...]) -> None:
    key, *rest = path
    if key not in source:
        return
    value = source[key]
    if rest and isinstance(value, Mapping):
        _copy_path(value, target.setdefault(key, {}), tuple(rest))
    else:
        target[key] = value
