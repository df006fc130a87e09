"""Plan a rerun from the histories of the run and its branches. No worker, no I/O.

It takes as long as the nodes of the run have taken: it belongs into a process of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.history.v1 import History, HistoryEvent

from orchestrator.errors import OperationRefused
from orchestrator.model.plan import Plan
from orchestrator.reruns.records import Record, record_flow
from orchestrator.reruns.restart import Changes, Rerun, plan_rerun
from orchestrator.reruns.walk_effects import HistoryNeeded
from orchestrator.temporal.history.reader import get_flow, read_as_far_as_possible
from orchestrator.temporal.history.recorded_execution import RecordedExecution
from orchestrator.temporal.workflow.run_workflow import RunWorkflow


@dataclass(frozen=True, slots=True)
class RerunJob:
    """A rerun to plan."""

    run_id: str
    """The run that has ended."""
    histories: Mapping[str, Sequence[tuple[str, bytes]]]
    """By workflow: `(workflow id, encoded History)` of its executions, the oldest first; none where it never began."""
    changes: Changes
    new_id: str
    now: datetime
    plan: Plan | None = None
    """That of another version."""


def plan_rerun_from_histories(job: RerunJob) -> Rerun | str:
    """Return a rerun, or the id of the workflow of which one more history is needed; raises OperationRefused."""
    records: dict[str, Record] = {}
    try:
        record = _load(job, records, job.run_id)

        def find_branch(path: str) -> Record | None:
            known = {where: entry for each in records.values() for where, entry in each.branches.items()}
            if path not in known:
                return None
            workflow_id = known[path]["workflow_id"]
            if workflow_id not in records:
                if job.histories.get(workflow_id) == ():
                    return None
                _load(job, records, workflow_id)
            return records[workflow_id]

        plan = record.plan if job.plan is None else job.plan
        return plan_rerun(record, find_branch, plan, job.changes, job.new_id, job.now)
    except HistoryNeeded as needed:
        return needed.workflow_id


def _load(job: RerunJob, records: dict[str, Record], workflow_id: str) -> Record:
    histories = job.histories.get(workflow_id)
    if not histories:
        raise HistoryNeeded(workflow_id)
    first, *later = [_read_record(name, History.FromString(history).events) for name, history in histories]
    for record in later:
        if record.info.id == first.info.id and record.plan != first.plan:
            before, after = first.plan.version, record.plan.version
            raise OperationRefused(
                f"the run cannot begin there: it was of version {before} then, and has moved to version {after} since",
                hint="begin at a step since the move, or start the workflow again with the same input",
            )
        first.continue_with(record)
    first.workflow_id = workflow_id
    records[workflow_id] = first
    return first


def _read_record(workflow_id: str, events: Sequence[HistoryEvent]) -> Record:
    finish = None

    def start(run_workflow: RunWorkflow) -> None:
        nonlocal finish
        flow = run_workflow.flow
        finish = record_flow(workflow_id, flow.plan, flow.info, flow.state, flow.effects)

    execution = RecordedExecution(workflow_id, events, start)
    try:
        agrees = read_as_far_as_possible(execution)
        flow = get_flow(execution)
        if finish is None or flow is None:
            raise OperationRefused(f"run {workflow_id} has not begun", hint="start a new run of the workflow")
        if not agrees:
            raise OperationRefused(f"the state of run {workflow_id} cannot be read from its history")
        record = finish(list(flow.effects.children.branches))
        record.ended_at = record.ended_at or events[-1].event_time.ToDatetime(UTC)
        return record
    finally:
        execution.close()
