"""Read how a run ended from the last event of its history. No I/O here.

For runs that cannot answer a query about it: they were terminated, have timed out, or no worker is running.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from orchestrator.errors import parse_error_type
from orchestrator.model.run import ENDED, ErrorDocument, Run, Status, StepDocument, count_milliseconds
from orchestrator.temporal.failures import read_detail

SERVER_IDENTITY = "history-service"
"""Who terminates a workflow whose history is over the limits of the server."""


async def run_from_close_event(run: Run, event: HistoryEvent, converter: DataConverter) -> Run:
    """Return the document of a run, completed with its closing event."""
    moment = event.event_time.ToDatetime(UTC)
    status: Status = "cancelled"
    output = None
    failure = await read_closing_failure(event, converter)
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            status = "completed"
            payloads = await converter.decode(event.workflow_execution_completed_event_attributes.result.payloads)
            output = payloads[0].get("output") if payloads and isinstance(payloads[0], Mapping) else None
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            status = "failed"
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED if failure is not None:
            status = choose_terminated_status(failure)
    return run.model_copy(
        update={
            "status": status,
            "failure": failure and failure.to_json(),
            "error": failure and failure.message,
            "output": output,
            "completed_at": moment,
            "duration_ms": count_milliseconds(run.started_at, moment) if run.started_at else None,
            "waiting_for": [],
            "current_node_id": None,
            "steps": [close_step(step, status, moment) for step in run.steps],
        }
    )


async def read_closing_failure(event: HistoryEvent, converter: DataConverter) -> ErrorDocument | None:
    """Return why a run has ended without completing; `None` where it has completed or was cancelled."""
    moment = event.event_time.ToDatetime(UTC)
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            detail = await converter.decode_failure(event.workflow_execution_failed_event_attributes.failure)
            return _read_failure(detail, moment)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            message = "the run timed out"
            return ErrorDocument(message=message, error_type="timeout_error", recoverable=False, timestamp=moment)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            return await read_termination(event, converter)
    return None


async def read_termination(event: HistoryEvent, converter: DataConverter) -> ErrorDocument:
    """Return why a run was terminated; the service says so itself (`failing_tasks`), the server by its identity."""
    terminated = event.workflow_execution_terminated_event_attributes
    details = await converter.decode(terminated.details.payloads)
    if details and isinstance(details[0], Mapping) and "error_type" in details[0]:
        return ErrorDocument.from_json(details[0])
    by_server = terminated.identity == SERVER_IDENTITY
    message = "Temporal ended the run" if by_server else "the run was terminated"
    return ErrorDocument(
        message=f"{message}: {terminated.reason}" if terminated.reason else message,
        error_type="execution_error" if by_server else "cancelled",
        recoverable=False,
        timestamp=event.event_time.ToDatetime(UTC),
    )


def choose_terminated_status(failure: ErrorDocument) -> Status:
    """Return the status of a run that was terminated: `cancelled` where a person has asked for its end (SPEC §9)."""
    return "cancelled" if failure.error_type == "cancelled" else "failed"


def close_step(step: StepDocument, status: str, moment: datetime) -> StepDocument:
    """Close a step that was open when its run ended."""
    if step.status in ENDED:
        return step
    left: Status = "failed" if status == "failed" else "cancelled"
    took = count_milliseconds(step.started_at, moment)
    return step.model_copy(update={"status": left, "completed_at": moment, "duration_ms": took})


def _read_failure(error: BaseException, moment: datetime) -> ErrorDocument:
    """Return the error document that the run failed with, or make one."""
    if isinstance(error, ApplicationError):
        detail = read_detail(error)
        if "error_type" in detail:
            return ErrorDocument.from_json(detail)
        return ErrorDocument(message=error.message, error_type=parse_error_type(error.type), timestamp=moment)
    return ErrorDocument(message=str(error), error_type="unknown", timestamp=moment)
