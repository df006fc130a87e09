"""Schedule an action as a Temporal activity and parse its result. Replay-sensitive."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.model.plan import Retry
from orchestrator.model.run import ATTEMPT_KEY, WARNINGS_KEY
from orchestrator.temporal.failures import select_non_retryable
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payloads import shorten_id

LOCAL_RETRY_SECONDS = 0.5
"""A longer wait before a local retry is a timer, so that it does not hold the workflow task open."""


def parse_activity_result(answer: Any) -> ActionResult:
    """Parse what an activity returned; one with several attempts or with warnings wraps its result (`ATTEMPT_KEY`)."""
    if isinstance(answer, Mapping) and answer.keys() - {WARNINGS_KEY} == {ATTEMPT_KEY, "result"}:
        attempts, warnings = answer[ATTEMPT_KEY], answer.get(WARNINGS_KEY, [])
        if type(attempts) is int and isinstance(warnings, list):
            return ActionResult(answer["result"], max(attempts, 1), tuple(map(str, warnings)))
    return ActionResult(answer)


def schedule_activity(request: ActRequest, arg: RawValue) -> ActivityHandle[Any]:
    """Schedule an activity.

    One without heartbeats cannot learn that it is cancelled, so a cancelled flow does not wait for it.
    """
    policy = _build_retry_policy(request.retry)
    activity_id = shorten_id(request.step_id)
    timeout = timedelta(seconds=request.timeout_seconds)
    if request.local:
        return workflow.start_local_activity(
            request.action,
            arg,
            activity_id=activity_id,
            summary=escape_markdown(request.title),
            start_to_close_timeout=timeout,
            retry_policy=policy,
            local_retry_threshold=timedelta(seconds=LOCAL_RETRY_SECONDS),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    heartbeat = request.heartbeat_seconds
    return workflow.start_activity(
        request.action,
        arg,
        activity_id=activity_id,
        summary=escape_markdown(request.title),
        task_queue=request.task_queue,
        start_to_close_timeout=timeout,
        heartbeat_timeout=timedelta(seconds=heartbeat) if heartbeat else None,
        retry_policy=policy,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        if heartbeat
        else ActivityCancellationType.TRY_CANCEL,
    )


def _build_retry_policy(retry: Retry) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=retry.initial_interval),
        backoff_coefficient=retry.backoff_coefficient,
        maximum_interval=timedelta(seconds=max(retry.maximum_interval, retry.initial_interval)),
        maximum_attempts=retry.maximum_attempts,
        non_retryable_error_types=select_non_retryable(retry),
    )
