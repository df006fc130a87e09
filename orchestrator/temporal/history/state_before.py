"""Read the state of a run as it was before a step began: where a new run can begin. No worker, no I/O."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio.api.history.v1 import History, HistoryEvent

from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.watched_log import WatchedLog
from orchestrator.temporal.history.reader import describe_state, read_as_far_as_possible
from orchestrator.temporal.history.recorded_execution import RecordedExecution
from orchestrator.temporal.workflow.run_workflow import RunWorkflow


def read_state_before(workflow_id: str, history: bytes, step_id: str) -> dict[str, Any] | None:
    """Return `{plan, run, state}` as they were before a step began; `None` where this execution has no such step.

    Each node begins at a boundary. The first reading finds the one at which the step began, the second one stops there.
    """
    events = History.FromString(history).events
    boundary = _find_boundary(workflow_id, events, step_id)
    return None if boundary is None else _copy_state(workflow_id, events, boundary)


def _find_boundary(workflow_id: str, events: Sequence[HistoryEvent], step_id: str) -> int | None:
    """Return the number of the boundary that the path of a step passed last before it began."""
    count, found = 0, None
    passed: dict[int, int] = {}
    """The last boundary of each task: other paths may have passed some since."""

    def watch(run_workflow: RunWorkflow) -> None:
        flow = run_workflow.flow
        flow.state.log = WatchedLog(flow.state.log, find)
        _watch_boundaries(run_workflow, record)

    def record() -> None:
        nonlocal count
        count += 1
        passed[id(asyncio.current_task())] = count

    def find(step: Step) -> None:
        nonlocal found
        if step.id == step_id:
            found = passed.get(id(asyncio.current_task()), count)

    _read(workflow_id, events, watch)
    return found


def _copy_state(workflow_id: str, events: Sequence[HistoryEvent], boundary: int) -> dict[str, Any] | None:
    count, copy = 0, None

    def watch(run_workflow: RunWorkflow) -> None:
        def record() -> None:
            nonlocal count, copy
            count += 1
            if count == boundary:
                copy = describe_state(run_workflow.flow)

        _watch_boundaries(run_workflow, record)

    _read(workflow_id, events, watch)
    return copy


def _watch_boundaries(run_workflow: RunWorkflow, record: Callable[[], None]) -> None:
    """Call a function whenever a path comes to a boundary."""
    effects = run_workflow.flow.effects
    is_due = effects.boundary_due

    def boundary_due(cost: int) -> bool:
        record()
        return is_due(cost)

    effects.boundary_due = boundary_due  # type: ignore[method-assign]


def _read(workflow_id: str, events: Sequence[HistoryEvent], watch: Callable[[RunWorkflow], None]) -> None:
    execution = RecordedExecution(workflow_id, events, watch)
    try:
        read_as_far_as_possible(execution)
    finally:
        execution.close()
