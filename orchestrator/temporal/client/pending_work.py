"""Show what Temporal knows of a run beside its history: who has not taken it, and what is tried again. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.client import WorkflowExecutionDescription

from orchestrator.errors import ErrorType, parse_error_type
from orchestrator.model.run import ENDED, Attempt, ErrorDocument, Run, StepDocument, format_timestamp
from orchestrator.temporal.payloads import shorten_id

NOT_REGISTERED = "NotFoundError"
"""Error type with which a worker rejects an activity that it does not know."""
UNTAKEN_SECONDS = 2.0
"""How long a task waits for a worker before its run is `pending`: a worker that is there takes it at once."""


def mark_pending_work(run: Run, activities: Sequence[Any]) -> Run:
    """Show the state of pending activities on their steps."""
    return _mark_pending(_mark_retrying(_add_attempts(run, activities), activities), activities)


def describe_untaken_task(described: WorkflowExecutionDescription) -> dict[str, Any] | None:
    """Return the wait for a worker that runs the workflow itself; `None` where one has come, or may still come."""
    task = described.raw_description.pending_workflow_task
    if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED or task.attempt > 1:
        return None
    since = task.scheduled_time.ToDatetime(tzinfo=UTC)
    if (datetime.now(UTC) - since).total_seconds() < UNTAKEN_SECONDS:
        return None
    return {"node_id": None, "step_id": None, "kind": "worker", **describe_queue(described.task_queue, since)}


def describe_queue(queue: str, since: datetime) -> dict[str, Any]:
    """Return the part of a wait that says which task queue has no worker, and since when."""
    seconds = max((datetime.now(UTC) - since).total_seconds(), 0.0)
    return {
        "queue": queue,
        "since": format_timestamp(since),
        "message": f"no worker has taken it from task queue {queue!r} for {seconds:.0f} s",
    }


def read_last_failure(pending: Any) -> tuple[ErrorType, str]:
    """Return the type and the message of the failure of an activity's last attempt."""
    failure = pending.last_failure
    if failure.application_failure_info.type != NOT_REGISTERED:
        return parse_error_type(failure.application_failure_info.type), failure.message
    queue, action = pending.activity_options.task_queue.name, pending.activity_type.name
    return "action_error", f"the worker that took it from task queue {queue!r} does not know the action `{action}`"


def _add_attempts(run: Run, pending: Sequence[Any]) -> Run:
    """Show the newest attempts: the history holds them when the activity has ended."""
    started = {activity.activity_id: activity for activity in pending if not _is_untaken(activity)}
    if not started:
        return run
    steps = []
    for step in run.steps:
        activity = None if step.status in ENDED else started.get(shorten_id(step.id))
        attempts = step.attempts if activity is None else [*step.attempts, *_list_attempts(activity)]
        steps.append(step.model_copy(update={"attempts": attempts}))
    return run.model_copy(update={"steps": steps})


def _list_attempts(pending: Any) -> list[Attempt]:
    is_running = pending.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    newest = pending.attempt if is_running else pending.attempt - 1
    error = None
    if pending.HasField("last_failure"):
        error_type, message = read_last_failure(pending)
        error = {"message": message, "error_type": error_type}
    started, ended = (_read_time(pending, name) for name in ("last_started_time", "last_attempt_complete_time"))
    if not is_running:
        return [Attempt(number=newest, started_at=started, ended_at=ended, error=error)]
    before = [] if error is None else [Attempt(number=newest - 1, ended_at=ended, error=error)]
    return [*before, Attempt(number=newest, started_at=started)]


def _read_time(pending: Any, name: str) -> datetime | None:
    moment: datetime | None = getattr(pending, name).ToDatetime(tzinfo=UTC) if pending.HasField(name) else None
    return moment


def _mark_retrying(run: Run, pending: Sequence[Any]) -> Run:
    """Show activities between two attempts as `retrying`, with their last error; the run, too, where no other runs."""
    retried = {activity.activity_id: activity for activity in pending if activity.attempt > 1}
    if not retried:
        return run
    steps = [_mark_step_retrying(step, retried.get(shorten_id(step.id))) for step in run.steps]
    waits = [_describe_retry(step, retried[shorten_id(step.id)]) for step in steps if step.status == "retrying"]
    all_wait = all(_is_between_attempts(activity) for activity in pending)
    status = "retrying" if waits and all_wait and run.status == "running" else run.status
    return run.model_copy(update={"status": status, "steps": steps, "waiting_for": [*run.waiting_for, *waits]})


def _is_between_attempts(activity: Any) -> bool:
    """Return whether no worker has an activity now, or has had it yet."""
    return bool(activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED)


def _describe_retry(step: StepDocument, pending: Any) -> dict[str, Any]:
    """Return the entry of `waiting_for` of an activity between two attempts: when the next one is due, and why."""
    error_type, message = read_last_failure(pending)
    since, until = _read_time(pending, "last_attempt_complete_time"), step.next_attempt_at
    return {
        "node_id": step.node_id,
        "step_id": step.id,
        "kind": "retry",
        "attempt": pending.attempt,
        "since": since and format_timestamp(since),
        "until": until and format_timestamp(until),
        "message": message,
        "error_type": error_type,
    }


def _mark_pending(run: Run, pending: Sequence[Any]) -> Run:
    """Show activities that no worker has taken yet as `pending`, with their task queue and since when they wait.

    The run is `pending`, too, where no worker has any of its activities and one waits for longer: as in lists.
    """
    untaken = {activity.activity_id: activity for activity in pending if _is_untaken(activity)}
    steps, waits = [], list(run.waiting_for)
    for step in run.steps:
        activity = None if step.status in ENDED else untaken.get(shorten_id(step.id))
        if activity is None:
            steps.append(step)
            continue
        steps.append(step.model_copy(update={"status": "pending"}))
        queue = describe_queue(
            activity.activity_options.task_queue.name, activity.scheduled_time.ToDatetime(tzinfo=UTC)
        )
        waits.append({"node_id": step.node_id, "step_id": step.id, "kind": "worker", **queue})
    lacks_worker = run.status == "running" and all(map(_is_between_attempts, pending)) and any(map(_is_late, pending))
    changed: dict[str, Any] = {"steps": steps, "waiting_for": waits}
    return run.model_copy(update={**changed, **({"status": "pending"} if lacks_worker else {})})


def _is_late(pending: Any) -> bool:
    """Return whether an activity has waited for its first worker for longer than one that is there needs."""
    since = pending.scheduled_time.ToDatetime(tzinfo=UTC)
    return _is_untaken(pending) and (datetime.now(UTC) - since).total_seconds() >= UNTAKEN_SECONDS


def _is_untaken(activity: Any) -> bool:
    scheduled = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return scheduled and activity.attempt <= 1 and not activity.HasField("last_started_time")


def _mark_step_retrying(step: StepDocument, pending: Any) -> StepDocument:
    if pending is None or step.status in ENDED:
        return step
    error_type, message = read_last_failure(pending)
    error = ErrorDocument(message=message, error_type=error_type, node_id=step.node_id).to_json()
    changed: dict[str, Any] = {"retry_count": pending.attempt - 1, "error": error}
    if _is_between_attempts(pending):
        changed |= {"status": "retrying", "next_attempt_at": _read_time(pending, "next_attempt_schedule_time")}
    return step.model_copy(update=changed)
