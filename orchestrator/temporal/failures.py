"""Translate errors between Temporal and the interpreter. Replay-sensitive.

The class and the type of an error decide, never its message.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    TerminatedError,
    TimeoutError,  # noqa: A004 - Temporal's: it says which timeout
    TimeoutType,
    WorkflowAlreadyStartedError,
)

from orchestrator.errors import ERROR_TYPES, ErrorType, StepFailed, parse_error_type
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.failures import build_retry_exhausted
from orchestrator.model.plan import Retry
from orchestrator.model.run import ErrorDocument

ENGINE_TYPES = ("retry_exhausted", "cancelled")
"""Error types that an attempt of an action never raises."""
TIMEOUTS = ("TemporalTimeout:StartToClose", "TemporalTimeout:Heartbeat")
"""Temporal's names for timeouts among the non-retryable error types."""


def select_non_retryable(retry: Retry) -> list[str]:
    """Return the error types that Temporal does not retry."""
    if retry.maximum_attempts == 1:
        return []
    types = [name for name in ERROR_TYPES if name not in retry.retry_on and name not in ENGINE_TYPES]
    return [*types, *TIMEOUTS] if "timeout_error" in types else types


def unwrap_cause(error: FailureError) -> BaseException | None:
    """Return the error that an activity ended with: for a regular activity it is wrapped, for a local one not."""
    return error.cause if isinstance(error, ActivityError) else error


def translate_activity_error(error: FailureError, request: ActRequest) -> StepFailed:
    """Return the failure of the step whose action has finally failed."""
    retry = request.retry
    match unwrap_cause(error):
        case ApplicationError() as cause:
            failure = _translate_application_error(cause)
        case TimeoutError() as cause:
            failure = _translate_timeout(cause, request)
        case CancelledError():
            failure = StepFailed(f"{request.action} was cancelled", error_type="cancelled", recoverable=False)
        case cause:
            failure = StepFailed(f"{request.action} failed: {cause or error}", error_type="unknown")
    if not _has_no_attempt_left(error, failure, retry):
        return failure
    failure.attempts = retry.maximum_attempts
    return failure if retry.maximum_attempts < 2 else build_retry_exhausted(failure, retry.maximum_attempts)


def _has_no_attempt_left(error: FailureError, failure: StepFailed, retry: Retry) -> bool:
    """Return whether the retries were exhausted; for a local activity, which does not say so, derive it."""
    if isinstance(error, ActivityError):
        return error.retry_state == RetryState.MAXIMUM_ATTEMPTS_REACHED
    return failure.recoverable and failure.error_type in retry.retry_on


def _translate_application_error(cause: ApplicationError) -> StepFailed:
    detail = read_detail(cause)
    # A worker in another language may send anything; an exception here would fail the workflow task for ever.
    value, attempt = detail.get("details"), detail.get("attempt")
    details = value if isinstance(value, Mapping) else {"value": value} if value else {}
    error_type = parse_error_type(cause.type)
    if error_type == "unknown" and cause.type not in (None, "unknown"):
        details = {"type": cause.type, **details}
    return StepFailed(
        cause.message,
        error_type=error_type,
        details=dict(details),
        recoverable=bool(detail.get("recoverable", not cause.non_retryable)),
        attempts=attempt if type(attempt) is int else 1,
    )


def _translate_timeout(cause: TimeoutError, request: ActRequest) -> StepFailed:
    if cause.type == TimeoutType.HEARTBEAT:
        message = f"{request.action} sent no heartbeat for {request.heartbeat_seconds:g} s"
    else:
        message = f"{request.action} took longer than {request.timeout_seconds:g} s"
    kind = cause.type.name.lower() if cause.type is not None else "unknown"
    return StepFailed(message, error_type="timeout_error", details={"timeout": kind})


def read_detail(cause: ApplicationError, index: int = 0) -> Mapping[str, Any]:
    """Return a detail of the error that is an object; an empty one where there is none."""
    detail = cause.details[index] if len(cause.details) > index else None
    return detail if isinstance(detail, Mapping) else {}


def translate_child_error(
    error: ChildWorkflowError | WorkflowAlreadyStartedError, what: str, now: datetime
) -> ErrorDocument:
    """Return the error document of a child that did not complete."""
    cause = error.cause if isinstance(error, ChildWorkflowError) else error
    if isinstance(cause, ApplicationError) and "error_type" in read_detail(cause):
        return ErrorDocument.from_json(read_detail(cause))
    error_type: ErrorType = "unknown"
    match cause:
        case CancelledError():
            message, error_type = f"{what} was cancelled", "cancelled"
        case TerminatedError():
            message, error_type = f"{what} was terminated", "cancelled"
        case TimeoutError():
            message, error_type = f"{what} took too long", "timeout_error"
        case WorkflowAlreadyStartedError():
            message, error_type = f"{what} is already running as {cause.workflow_id}", "execution_error"
        case ApplicationError():
            message, error_type = cause.message, parse_error_type(cause.type)
        case _:
            message = f"{what} failed: {cause or error}"
    return ErrorDocument(message=message, error_type=error_type, timestamp=now)


def build_run_failure(
    error: ErrorDocument, *more: Mapping[str, Any], node_title: str | None = None
) -> ApplicationError:
    """Return the Temporal failure that a run or a branch ends with; its message is for people in Temporal's page."""
    message = error.message if node_title is None else f"{node_title}: {find_cause(error)}"
    return ApplicationError(message, error.to_json(), *more, type=error.error_type, non_retryable=True)


def find_cause(error: ErrorDocument) -> str:
    """Return the message of the node itself: a parallel that failed with it says only which branch it was in."""
    message, details = error.message, error.details
    while isinstance(inner := details.get("error"), Mapping) and inner.get("node_id") == error.node_id:
        message = str(inner.get("message"))
        details = inner["details"] if isinstance(inner.get("details"), dict) else {}
    return message
