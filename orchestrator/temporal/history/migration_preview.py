"""Say what a move to another version would do to a run, from its history. No worker, no I/O.

It takes as long as the nodes of the run have taken: it belongs into a process of its own.
"""

from dataclasses import dataclass
from datetime import datetime

from temporalio.api.history.v1 import History

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.migration import MigrationRequest, plan_migration
from orchestrator.interpreter.moved_frames import MovedNode
from orchestrator.temporal.history.reader import get_flow, read_as_far_as_possible
from orchestrator.temporal.history.recorded_execution import RecordedExecution


@dataclass(frozen=True, slots=True)
class MigrationJob:
    """A move to look at."""

    run_id: str
    history: bytes
    """The encoded history of the latest execution."""
    request: MigrationRequest
    now: datetime


@dataclass(frozen=True, slots=True)
class MigrationPreview:
    """What a move would do to a run as it is now."""

    from_version: int
    version: int
    nodes: list[MovedNode]
    problems: list[str]


def preview_migration(job: MigrationJob) -> MigrationPreview:
    """Return what a move would do; raises OperationRefused where the state of the run cannot be read."""
    execution = RecordedExecution(job.run_id, History.FromString(job.history).events)
    try:
        agrees = read_as_far_as_possible(execution)
        flow = get_flow(execution)
        if flow is None:
            raise OperationRefused(f"run {job.run_id} has not begun", hint="try again in a moment")
        if not agrees:
            raise OperationRefused(f"the state of run {job.run_id} cannot be read from its history")
        moved = plan_migration(flow.plan, flow.state, job.request, job.now)
        problems = list(moved.problems)
        if flow.migration is not None:
            problems.append(f"the run is about to move to version {flow.migration.plan.version}")
        return MigrationPreview(flow.plan.version, job.request.plan.version, moved.nodes, problems)
    finally:
        execution.close()
