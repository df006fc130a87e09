"""Turn an event of a history into the job that tells the workflow of it. No I/O.

Failures are wrapped as Temporal's core does it: what an activity or a child ended with is the cause of a failure that
names it.
"""

import json
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.failure.v1 import CanceledFailureInfo, Failure, TerminatedFailureInfo, TimeoutFailureInfo
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowResult,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob

from orchestrator.temporal.history.random_seed import compute_random_seed

PATCH = "core_patch"
"""Name of the marker of `workflow.patched`."""
CANCELLED = "Activity cancelled"


def build_start_job(workflow_id: str, event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job that starts the workflow."""
    started = event.workflow_execution_started_event_attributes
    job = WorkflowActivationJob()
    start = job.initialize_workflow
    start.workflow_type = started.workflow_type.name
    start.workflow_id = workflow_id
    start.arguments.extend(started.input.payloads)
    start.randomness_seed = compute_random_seed(started.original_execution_run_id)
    start.attempt = max(started.attempt, 1)
    start.memo.CopyFrom(started.memo)
    start.search_attributes.CopyFrom(started.search_attributes)
    start.start_time.CopyFrom(event.event_time)
    start.original_execution_run_id = started.original_execution_run_id
    return job


def build_signal_job(event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of a signal."""
    signaled = event.workflow_execution_signaled_event_attributes
    job = WorkflowActivationJob()
    job.signal_workflow.signal_name = signaled.signal_name
    job.signal_workflow.input.extend(signaled.input.payloads)
    job.signal_workflow.originating_event_id = event.event_id
    return job


def build_update_job(event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of an update that was accepted."""
    accepted = event.workflow_execution_update_accepted_event_attributes
    request = accepted.accepted_request
    job = WorkflowActivationJob()
    job.do_update.id = request.meta.update_id
    job.do_update.protocol_instance_id = accepted.protocol_instance_id
    job.do_update.name = request.input.name
    job.do_update.input.extend(request.input.args.payloads)
    return job


def build_seed_job(event: HistoryEvent) -> WorkflowActivationJob | None:
    """Return the job of a reset: other random numbers from here on."""
    new_run_id = event.workflow_task_failed_event_attributes.new_run_id
    if not new_run_id:
        return None
    job = WorkflowActivationJob()
    job.update_random_seed.randomness_seed = compute_random_seed(new_run_id)
    return job


def build_patch_job(marker: Any) -> WorkflowActivationJob:
    """Return the job of a patch that the workflow has passed."""
    job = WorkflowActivationJob()
    job.notify_has_patch.patch_id = json.loads(marker.details["patch-data"].payloads[0].data)["id"]
    return job


def build_timer_job(seq: int) -> WorkflowActivationJob:
    """Return the job of a timer that has fired."""
    job = WorkflowActivationJob()
    job.fire_timer.seq = seq
    return job


def build_cancel_job(event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of a request to cancel the run."""
    job = WorkflowActivationJob()
    job.cancel_workflow.reason = event.workflow_execution_cancel_requested_event_attributes.cause
    return job


def build_cancelled_activity_job(seq: int, activity_id: str, activity_type: str) -> WorkflowActivationJob:
    """Return the job of an activity whose cancellation is not awaited."""
    job = WorkflowActivationJob()
    job.resolve_activity.seq = seq
    failure = job.resolve_activity.result.cancelled.failure
    failure.message = CANCELLED
    failure.activity_failure_info.activity_id = activity_id
    failure.activity_failure_info.activity_type.name = activity_type
    failure.activity_failure_info.retry_state = RetryState.RETRY_STATE_CANCEL_REQUESTED
    failure.cause.message = CANCELLED
    failure.cause.canceled_failure_info.SetInParent()
    return job


def build_activity_job(seq: int, scheduled: HistoryEvent, event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of an activity that has ended."""
    job = WorkflowActivationJob()
    job.resolve_activity.seq = seq
    result = job.resolve_activity.result
    match event.event_type:
        case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            result.completed.SetInParent()
            _copy_result(completed.result.payloads, result)
        case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed = event.activity_task_failed_event_attributes
            _wrap_activity(result.failed.failure, scheduled, failed, "Activity task failed", failed.failure)
        case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            timed_out = event.activity_task_timed_out_event_attributes
            _wrap_activity(result.failed.failure, scheduled, timed_out, "Activity task timed out", timed_out.failure)
        case _:
            cancelled = event.activity_task_canceled_event_attributes
            cause = Failure(message=CANCELLED, canceled_failure_info=CanceledFailureInfo(details=cancelled.details))
            _wrap_activity(result.cancelled.failure, scheduled, cancelled, CANCELLED, cause)
    return job


def _copy_result(payloads: Any, result: ActivityResolution) -> None:
    if payloads:
        result.completed.result.CopyFrom(payloads[0])


def _wrap_activity(failure: Failure, scheduled: HistoryEvent, ended: Any, message: str, cause: Failure) -> None:
    attributes = scheduled.activity_task_scheduled_event_attributes
    failure.message = message
    failure.cause.CopyFrom(cause)
    info = failure.activity_failure_info
    info.scheduled_event_id = ended.scheduled_event_id
    info.started_event_id = ended.started_event_id
    info.activity_id = attributes.activity_id
    info.activity_type.CopyFrom(attributes.activity_type)
    info.retry_state = getattr(ended, "retry_state", RetryState.RETRY_STATE_UNSPECIFIED)


def build_local_activity_job(marker: Any, details: dict[str, Any]) -> WorkflowActivationJob:
    """Return the job of a local activity that has ended, or that a timer will start again."""
    job = WorkflowActivationJob()
    job.resolve_activity.seq = details["seq"]
    job.resolve_activity.is_local = True
    result = job.resolve_activity.result
    if details.get("backoff"):
        result.backoff.attempt = details["attempt"] + 1
        result.backoff.backoff_duration.seconds = details["backoff"]["seconds"]
        result.backoff.backoff_duration.nanos = details["backoff"]["nanos"]
        if original := details.get("original_schedule_time"):
            result.backoff.original_schedule_time.seconds = original["seconds"]
            result.backoff.original_schedule_time.nanos = original["nanos"]
    elif not marker.HasField("failure"):
        result.completed.SetInParent()
        _copy_result(marker.details["result"].payloads, result)
    elif marker.failure.HasField("canceled_failure_info"):
        result.cancelled.failure.CopyFrom(marker.failure)
    else:
        result.failed.failure.CopyFrom(marker.failure)
    return job


def build_child_start_job(seq: int, event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of a child that has started, or could not be started."""
    job = WorkflowActivationJob()
    start = job.resolve_child_workflow_execution_start
    start.seq = seq
    if event.HasField("child_workflow_execution_started_event_attributes"):
        started = event.child_workflow_execution_started_event_attributes
        start.succeeded.run_id = started.workflow_execution.run_id
        return job
    failed = event.start_child_workflow_execution_failed_event_attributes
    start.failed.workflow_id = failed.workflow_id
    start.failed.workflow_type = failed.workflow_type.name
    start.failed.cause = StartChildWorkflowExecutionFailedCause.ValueType(failed.cause)
    return job


def build_child_job(seq: int, event: HistoryEvent) -> WorkflowActivationJob:
    """Return the job of a child that has ended."""
    job = WorkflowActivationJob()
    job.resolve_child_workflow_execution.seq = seq
    result: ChildWorkflowResult = job.resolve_child_workflow_execution.result
    message = "Child Workflow execution"
    match event.event_type:
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
            payloads = event.child_workflow_execution_completed_event_attributes.result.payloads
            result.completed.SetInParent()
            if payloads:
                result.completed.result.CopyFrom(payloads[0])
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
            failed = event.child_workflow_execution_failed_event_attributes
            _wrap_child(result.failed.failure, failed, f"{message} failed", failed.failure)
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
            timed_out = event.child_workflow_execution_timed_out_event_attributes
            cause = Failure(message=f"{message} timed out", timeout_failure_info=TimeoutFailureInfo())
            _wrap_child(result.failed.failure, timed_out, cause.message, cause)
        case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
            terminated = event.child_workflow_execution_terminated_event_attributes
            cause = Failure(message=f"{message} terminated", terminated_failure_info=TerminatedFailureInfo())
            _wrap_child(result.failed.failure, terminated, cause.message, cause)
        case _:
            cancelled = event.child_workflow_execution_canceled_event_attributes
            details = CanceledFailureInfo(details=cancelled.details)
            cause = Failure(message=f"{message} cancelled", canceled_failure_info=details)
            _wrap_child(result.cancelled.failure, cancelled, cause.message, cause)
    return job


def _wrap_child(failure: Failure, ended: Any, message: str, cause: Failure) -> None:
    failure.message = message
    failure.cause.CopyFrom(cause)
    info = failure.child_workflow_execution_failure_info
    info.namespace = ended.namespace
    info.workflow_execution.CopyFrom(ended.workflow_execution)
    info.workflow_type.CopyFrom(ended.workflow_type)
    info.initiated_event_id = ended.initiated_event_id
    info.started_event_id = ended.started_event_id
    info.retry_state = getattr(ended, "retry_state", RetryState.RETRY_STATE_UNSPECIFIED)


def build_sent_signal_job(seq: int, *, failed: bool) -> WorkflowActivationJob:
    """Return the job of a signal that has reached a child, or found none."""
    job = WorkflowActivationJob()
    job.resolve_signal_external_workflow.seq = seq
    if failed:
        failure = job.resolve_signal_external_workflow.failure
        failure.message = "Unable to signal external workflow"
        failure.application_failure_info.SetInParent()
    return job


def decode_marker(payload: Payload) -> dict[str, Any]:
    """Return what the marker of a local activity says of it."""
    details: dict[str, Any] = json.loads(payload.data)
    return details
