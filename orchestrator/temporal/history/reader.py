"""Read the run document of one execution, from its recorded events. No worker, no I/O.

Reading takes as long as the nodes of the execution have taken: it belongs into a process of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.converter import DefaultPayloadConverter, decode_typed_search_attributes
from temporalio.exceptions import ApplicationError

from orchestrator.interpreter.run_document import build_run_document
from orchestrator.interpreter.state import RunState
from orchestrator.model.run import ENDED, Run, RunSummary, StepDocument, count_milliseconds
from orchestrator.temporal.history.attempts import add_attempts
from orchestrator.temporal.history.document_limit import limit_document
from orchestrator.temporal.history.recorded_execution import HistoryMismatch, RecordedExecution
from orchestrator.temporal.history.worker_time import sum_worker_seconds
from orchestrator.temporal.payloads import shorten_id
from orchestrator.temporal.requests import read_plan, read_request
from orchestrator.temporal.search_attributes import add_scheduled_time
from orchestrator.temporal.workflow.activities import parse_activity_result
from orchestrator.temporal.workflow.flow import Flow


@dataclass(frozen=True, slots=True)
class FlowReading:
    """What the history of one execution says of a run, or of a branch of one."""

    run: Run
    """Its own steps; `complete` is false where the interpreter and the history disagree."""
    branches: list[dict[str, str]]
    """`{workflow_id, path, status}` of the branches that it has started as child workflows."""
    has_started: bool = True
    """A worker has taken it."""
    paused: bool = False
    """An operator has paused it."""
    numbers: list[int] = field(default_factory=list)
    """Those of its steps, in the same order."""
    drops: list[tuple[str, int]] = field(default_factory=list)
    """Where it went back: in that path, steps from that number on are off the record."""
    step_limit: int = 0
    """Number of steps that its document keeps."""
    continues: str = ""
    """The execution that it has continued as new; empty for the first."""
    executions: int = 1
    """Number of executions that were read."""
    worker_seconds: float = 0.0
    """How long workers were busy with the activities of these."""


def read_flows(histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
    """Read executions, each as its workflow id and its encoded `History`."""
    return [read_flow(workflow_id, History.FromString(history).events) for workflow_id, history in histories]


def read_flow(workflow_id: str, events: Sequence[HistoryEvent]) -> FlowReading:
    """Read one execution, from the state with which it began."""
    execution = RecordedExecution(workflow_id, events)
    try:
        agrees = read_as_far_as_possible(execution)
        flow = get_flow(execution)
        if flow is None:
            return _read_first_event(workflow_id, events[0])
        run = flow.build_document()
        arrived = events[execution.read_to :]
        run = run.model_copy(update={"complete": agrees, "steps": list(_add_results(run.steps, events, arrived))})
        return FlowReading(
            add_attempts(limit_document(run), events),
            list(flow.effects.children.branches),
            paused=flow.effects.paused,
            numbers=[step.number for step in flow.state.list_steps()],
            drops=flow.state.drops,
            step_limit=flow.plan.step_log_limit,
            continues=_find_continued(events[0]),
            worker_seconds=sum_worker_seconds(events),
        )
    finally:
        execution.close()


def read_as_far_as_possible(execution: RecordedExecution) -> bool:
    """Read to the end, or as far as interpreter and history agree; return whether they do."""
    try:
        execution.read()
    except HistoryMismatch:
        return False
    return True


def get_flow(execution: RecordedExecution) -> Flow | None:
    """Return the flow of an execution; `None` where no worker has taken it, or none could read its request."""
    if execution.run_workflow is None:
        return None
    try:
        return execution.run_workflow.flow
    except ApplicationError:  # its request is one that no worker could read
        return None


def _add_results(
    steps: Sequence[StepDocument], events: Sequence[HistoryEvent], arrived: Sequence[HistoryEvent]
) -> Iterator[StepDocument]:
    """Yield the steps with the results of actions that no workflow task has taken yet."""
    results = {}
    for event in arrived:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            scheduled = events[completed.scheduled_event_id - 1].activity_task_scheduled_event_attributes
            results[scheduled.activity_id] = (completed.result.payloads, event.event_time.ToDatetime(UTC))
    for step in steps:
        known = results.get(shorten_id(step.id)) if step.status not in ENDED else None
        yield step if known is None else _complete_step(step, *known)


def _complete_step(step: StepDocument, payloads: Any, moment: datetime) -> StepDocument:
    values = DefaultPayloadConverter().from_payloads(payloads)
    output = parse_activity_result(values[0] if values else None).result
    return step.model_copy(
        update={
            "status": "completed",
            "completed_at": moment,
            "duration_ms": count_milliseconds(step.started_at, moment),
            "output_data": output if isinstance(output, dict) else {"result": output},
        }
    )


def _read_first_event(workflow_id: str, event: HistoryEvent) -> FlowReading:
    """Return what the request says of a run that no worker has taken yet, or that none could read."""
    started = event.workflow_execution_started_event_attributes
    values = DefaultPayloadConverter().from_payloads(started.input.payloads)
    request = read_request(values)
    moment = event.event_time.ToDatetime(UTC)
    try:
        plan, info = read_plan(request)
        state = RunState.from_json(plan, request["state"])
    except Exception:  # noqa: BLE001 - whatever no worker could read
        attributes = decode_typed_search_attributes(started.search_attributes)
        run = _describe_request(workflow_id, request, moment)
        run = run.model_copy(update={"trigger_data": add_scheduled_time(run.trigger_data, attributes)})
        return FlowReading(run, [], has_started=False)
    return FlowReading(
        build_run_document(plan, info, state),
        list(request.get("branches", ())),
        has_started=False,
        numbers=[step.number for step in state.list_steps()],
        step_limit=plan.step_log_limit,
        continues=_find_continued(event),
    )


def _find_continued(first: HistoryEvent) -> str:
    """Return the execution that the one with this first event has continued as new."""
    return first.workflow_execution_started_event_attributes.continued_execution_run_id


def _describe_request(workflow_id: str, request: Any, moment: datetime) -> Run:
    plan, info = _as_object(request.get("plan")), _as_object(request.get("run"))
    context = _as_object(_as_object(request.get("state")).get("context"))
    version, rerun_of, parent = plan.get("version"), info.get("rerun_of"), info.get("parent_run_id")
    summary = RunSummary(
        id=workflow_id,
        workflow_id=str(plan.get("id", "")),
        workflow_version=version if isinstance(version, int) else 1,
        customer_id=str(info.get("customer_id", "")),
        status="pending",
        trigger_type=str(info.get("trigger_type", "manual")),
        started_at=moment,
        rerun_of=None if rerun_of is None else str(rerun_of),
    )
    return Run.from_summary(
        summary,
        workflow_name=str(plan.get("name", "")),
        trigger_data=request.get("trigger", context.get("trigger")),
        input_data=request.get("input", context.get("input")),
        parent_run_id=None if parent is None else str(parent),
    )


def _as_object(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one: the request may be one that no worker could read."""
    return value if isinstance(value, dict) else {}
