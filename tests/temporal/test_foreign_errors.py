"""A worker in another language may send any detail with an error: it never fails the workflow task."""

from typing import Any

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState

from orchestrator.interpreter.effects import ActRequest
from orchestrator.model.plan import Retry
from orchestrator.temporal.failures import translate_activity_error

REQUEST = ActRequest("pay", {}, {}, "pay", "pay", "Pay", "key", Retry(), 10)


@pytest.mark.parametrize(
    ("detail", "details", "attempts"),
    [
        ({"details": {"code": 5}, "attempt": 2}, {"code": 5}, 2),
        ({"details": "card declined"}, {"value": "card declined"}, 1),
        ({"details": ["card", "declined"]}, {"value": ["card", "declined"]}, 1),
        ({"details": None, "attempt": None}, {}, 1),
        ({"attempt": "second"}, {}, 1),
        ({"attempt": True}, {}, 1),
        ("card declined", {}, 1),
    ],
)
def test_any_detail_becomes_a_failure(detail: Any, details: Any, attempts: int) -> None:
    error = ActivityError(
        "failed", scheduled_event_id=1, started_event_id=2, identity="", activity_type="pay", activity_id="pay",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )  # fmt: skip
    error.__cause__ = ApplicationError("declined", detail, type="action_error")
    failure = translate_activity_error(error, REQUEST)

    assert (failure.details, failure.attempts) == (details, attempts)
    assert translate_activity_error(error, REQUEST).message == "declined"
