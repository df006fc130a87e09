"""What a loop in progress counts, and the item of each iteration. Replay-sensitive."""

import json
from dataclasses import replace
from itertools import takewhile
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.child_results import BatchEnd
from orchestrator.interpreter.frames import LoopFrame
from orchestrator.interpreter.iteration_result import IterationResult
from orchestrator.interpreter.variables import Data
from orchestrator.model.plan import Loop, Node
from orchestrator.model.run import ErrorDocument

MAX_ERRORS = 100
"""Failed iterations whose errors the output of a loop holds; it counts all of them."""


OVERFLOW = "collect"
"""In the details of a failure: the limit that was met."""


def list_loop_variables(node: Loop) -> tuple[str, str]:
    """Return the names of the item and of its index."""
    return node.item, f"{node.item}_index"


def set_variables(node: Loop, progress: LoopFrame, index: int, data: Data) -> None:
    """Set the item and its index for an iteration."""
    data.context[node.item] = _read_item(node, progress, index)
    data.context[f"{node.item}_index"] = index


def count_iterations(node: Loop, progress: LoopFrame) -> int | None:
    """Return the number of iterations at most; `None` when only `while` decides."""
    if node.batch_size is None or progress.count is None:
        return progress.count
    return -(-progress.count // node.batch_size)


def _read_item(node: Loop, progress: LoopFrame, index: int) -> Any:
    """Return the item of an iteration, or the list of its items; `None` behind the last one."""
    items, count = progress.items, progress.count
    offset = progress.first * (node.batch_size or 1)
    if node.batch_size is None or count is None:
        return index if items is None else items[index - offset] if index - offset < len(items) else None
    first = index * node.batch_size
    if first >= count:
        return None
    end = min(first + node.batch_size, count)
    return list(range(first, end)) if items is None else items[first - offset : end - offset]


def build_output(node: Loop, progress: LoopFrame) -> dict[str, Any]:
    """Return the output of the loop as far as it has come."""
    count = progress.index - progress.first
    output = {
        "count": count,
        "succeeded": count - progress.failed,
        "failed": progress.failed,
        "errors": progress.errors,
    }
    return output | ({"items": progress.collected} if node.has_collect else {})


def record_iteration(node: Loop, progress: LoopFrame, result: IterationResult, index: int) -> None:
    """Count an iteration that has ended, in the order of items; raises StepFailed where its result has no space."""
    if node.has_collect and not _take_space(progress, result.collected):
        raise _build_overflow(node, progress)
    progress.exits.extend(node_id for node_id in result.exits if node_id not in progress.exits)
    if result.error is not None:
        progress.failed += 1
        if len(progress.errors) < MAX_ERRORS:
            progress.errors.append({"index": index, "error": result.error})
    if node.has_collect:
        at = index - progress.first
        progress.collected[at : at + 1] = [result.collected]


def record_batch(node: Loop, progress: LoopFrame, end: BatchEnd) -> None:
    """Count a batch that has ended, in the order of items; raises StepFailed at the first result without space."""
    fitting = sum(1 for _ in takewhile(lambda item: _take_space(progress, item), end.items))
    has_overflow = fitting < len(end.items)
    if has_overflow:
        errors = [entry for entry in end.errors if entry["index"] < progress.index + fitting]
        end = replace(end, count=fitting, failed=len(errors), errors=errors, items=end.items[:fitting])
    progress.exits.extend(node_id for node_id in end.exits if node_id not in progress.exits)
    progress.failed += end.failed
    progress.errors.extend(end.errors[: MAX_ERRORS - len(progress.errors)])
    progress.collected.extend(end.items)
    progress.merged.update(end.variables)
    progress.merged_steps = end.steps
    progress.index += end.count
    if has_overflow:
        raise _build_overflow(node, progress)


def _take_space(progress: LoopFrame, item: Any) -> bool:
    """Count what `collect` has returned for an iteration; return whether there is space for it."""
    if progress.collect_limit is None:
        return True
    if progress.collected_bytes is None:
        progress.collected_bytes = _measure(progress.collected)
    progress.collected_bytes += _measure(item) + 1
    return progress.collected_bytes <= progress.collect_limit


def _measure(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _build_overflow(node: Loop, progress: LoopFrame) -> StepFailed:
    limit = progress.collect_limit or 0
    return StepFailed(
        f"what `collect` returns for iteration {progress.index} does not fit: the results of all may have"
        f" {limit:,} bytes as JSON. Collect less, or store results elsewhere and collect references",
        details={"limit": OVERFLOW, "index": progress.index, "bytes": limit},
        recoverable=False,
        node_id=node.id,
    )


def is_overflow(node: Loop, error: StepFailed | ErrorDocument | None) -> bool:
    """Return whether a loop has failed because its results are too large."""
    return error is not None and error.node_id == node.id and error.details.get("limit") == OVERFLOW


def count_failures(progress: LoopFrame) -> int:
    """Return how many iterations have failed, those included that wait for an earlier one to end."""
    unmerged = sum(1 for result in progress.ended.values() if result.error is not None)
    return progress.failed + unmerged + sum(end.failed for end in progress.list_unmerged_batches())


def count_items(node: Node | None, progress: LoopFrame) -> dict[str, int] | None:
    """Return how far a loop has come, in iterations: `{count, succeeded, failed}`; `None` where its end is unknown."""
    count = count_iterations(node, progress) if isinstance(node, Loop) else None
    if count is None:
        return None
    ended = progress.index - progress.first + len(progress.ended)
    ended += sum(end.count for end in progress.list_unmerged_batches())
    failed = count_failures(progress)
    return {"count": count - progress.first, "succeeded": ended - failed, "failed": failed}


def has_too_many_failures(progress: LoopFrame) -> bool:
    """Return whether more iterations have failed than `max_failures` allows."""
    return progress.max_failures is not None and count_failures(progress) > progress.max_failures


def require_few_failures(progress: LoopFrame) -> None:
    """Raise StepFailed where more iterations have failed than `max_failures` allows."""
    if not has_too_many_failures(progress):
        return
    failed = count_failures(progress)
    first = ErrorDocument.from_json(_find_first_error(progress))
    raise StepFailed(
        f"{failed} iterations failed, more than max_failures ({progress.max_failures}); the first: {first.message}",
        error_type=first.error_type,
        details={"max_failures": progress.max_failures, "failed": failed, "error": first.to_json()},
        recoverable=first.recoverable,
        node_id=first.node_id,
    )


def _find_first_error(progress: LoopFrame) -> dict[str, Any]:
    if progress.errors:
        return dict(progress.errors[0]["error"])
    ended = {index: result.error for index, result in progress.ended.items() if result.error is not None}
    ended |= {entry["index"]: entry["error"] for end in progress.list_unmerged_batches() for entry in end.errors}
    return ended[min(ended)]
