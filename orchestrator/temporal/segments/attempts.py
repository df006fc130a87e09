"""Make the attempts at an action of a segment, by its retry policy, as Temporal does for a local activity."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from temporalio.exceptions import ApplicationError

from activities.results import ActionAnswer
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.segments import SegmentCall, SegmentStep, describe_failure
from orchestrator.model.plan import Retry
from orchestrator.temporal.failures import select_non_retryable, translate_activity_error
from orchestrator.temporal.workflow.activities import LOCAL_RETRY_SECONDS

CallAction = Callable[[ActRequest, int], Awaitable[ActionAnswer]]
"""Makes one attempt at an action, by its number, within its timeout; raises ApplicationError where it fails."""


async def make_attempts(call: SegmentCall, call_action: CallAction, is_over: Callable[[], bool]) -> SegmentStep:
    """Call an action until it ends well, has no attempt left, or has to wait longer than a segment may last."""
    request, number = call.request, call.attempts
    while True:
        number += 1
        try:
            answer = await call_action(request, number)
        except ApplicationError as error:
            pause = find_pause(error, request.retry, number)
            if pause is not None and pause <= LOCAL_RETRY_SECONDS and not is_over():
                await asyncio.sleep(pause)
                continue
            failure = translate_activity_error(error, request)
            attempts = failure.attempts if pause is None else number
            document = describe_failure(failure)
            return SegmentStep(request.step_id, 0, attempts=attempts, error=document, retry_seconds=pause)
        else:
            # As the workflow reads it from history, where the keys of objects are sorted.
            output = json.loads(answer.text)
            return SegmentStep(request.step_id, 0, output, answer.text, attempts=number, warnings=answer.warnings)


def find_pause(error: ApplicationError, retry: Retry, number: int) -> float | None:
    """Return the seconds before the attempt after this one; `None` where there is none."""
    if error.non_retryable or error.type in select_non_retryable(retry) or number >= retry.maximum_attempts:
        return None
    if error.next_retry_delay is not None:
        return error.next_retry_delay.total_seconds()
    try:
        grown = retry.initial_interval * retry.backoff_coefficient ** (number - 1)
    except OverflowError:
        grown = retry.maximum_interval
    return min(grown, max(retry.maximum_interval, retry.initial_interval))
