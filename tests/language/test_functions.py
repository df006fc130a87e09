"""Every function of SPEC §3 on a fixed clock: Friday 2026-05-01 12:30:15.25 UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.errors import EvaluationError
from orchestrator.expressions import render
from orchestrator.language import FUNCTIONS
from orchestrator.language.env import Warnings
from orchestrator.language.functions import MAX_DAYS

NOW = datetime(2026, 5, 1, 12, 30, 15, 250_000, tzinfo=UTC)

RENDERED = sorted(set(FUNCTIONS) - {"approval_link"})
"""The other one is rendered by workers only: see test_approval_links.py."""

# fmt: off
GIVES: dict[str, list[tuple[str, Any]]] = {
    "now": [("now()", "2026-05-01T12:30:15.250000Z")],
    "today": [("today()", "2026-05-01")],
    "timestamp": [("timestamp()", 1_777_638_615)],
    "uuid": [("uuid()", "00000000-0000-4000-8000-000000000001")],
    "days_ago": [
        ("days_ago(1)", "2026-04-30T12:30:15.250000Z"),
        ('days_ago("0.5")', "2026-05-01T00:30:15.250000Z"),
        ("days_ago(-1)", "2026-05-02T12:30:15.250000Z"),
    ],
    "days_from_now": [("days_from_now(7)", "2026-05-08T12:30:15.250000Z"), ("days_from_now(0) | date", "2026-05-01")],
    "start_of_day": [
        ("start_of_day()", "2026-05-01T00:00:00Z"),
        ('start_of_day("2026-03-04T23:30:00-02:00")', "2026-03-05T00:00:00Z"),
        ("start_of_day(null)", None),
    ],
    "end_of_day": [
        ("end_of_day()", "2026-05-01T23:59:59.999999Z"),
        ('end_of_day("2026-03-04")', "2026-03-04T23:59:59.999999Z"),
    ],
    "start_of_week": [
        ("start_of_week()", "2026-04-27T00:00:00Z"),
        ('start_of_week("2026-04-27")', "2026-04-27T00:00:00Z"),
        ('start_of_week("2026-04-26T23:59:59")', "2026-04-20T00:00:00Z"),
    ],
    "start_of_month": [
        ("start_of_month()", "2026-05-01T00:00:00Z"),
        ('start_of_month("2024-02-29")', "2024-02-01T00:00:00Z"),
    ],
    "is_overdue": [
        ('is_overdue("2026-04-30")', True),
        ('is_overdue("2026-05-01")', False),  # the whole day is left
        ('is_overdue("2026-05-01T12:30:15Z")', True),
        ('is_overdue("2026-05-01T12:30:16Z")', False),
        ('is_overdue("2026-05-01T13:00:00+02:00")', True),
        ("is_overdue(null)", False),
    ],
    "days_until": [
        ('days_until("2026-05-08")', 7),
        ('days_until("2026-05-02T00:00:00Z")', 1),  # calendar days, not spans of 24 hours
        ('days_until("2026-04-30T23:59:59Z")', -1),
        ("days_until(null)", None),
    ],
    "days_since": [('days_since("2026-04-01")', 30), ('days_since("2026-05-02")', -1), ("days_since(null)", None)],
}
REFUSES = [
    ("days_ago(null)", "days_ago() takes a number of days up to 366,000, not null"),
    ("days_ago(true)", "days_ago() takes a number of days up to 366,000, not true or false"),
    ('days_from_now("soon")', "days_from_now() takes a number of days up to 366,000, not 'soon'"),
    (f"days_from_now({MAX_DAYS + 1})", "days_from_now() takes a number of days up to 366,000, not 366001"),
    ("days_ago(huge)", "days_ago() takes a number of days up to 366,000, not a number"),
    ("days_ago(list)", "days_ago() takes a number of days up to 366,000, not a list"),
]
WARNS = [
    ('start_of_day("soon")', None, "start_of_day() takes a date, not 'soon'"),
    ("end_of_day(5)", None, "end_of_day() takes a date, not 5"),
    ("is_overdue(list)", False, "is_overdue() takes a date, not a list"),
    ('days_until("")', None, "days_until() takes a date, not ''"),
    ("days_since(huge)", None, "days_since() takes a date, not a number"),
    ('start_of_week("2026-02-30")', None, "start_of_week() takes a date, not '2026-02-30'"),
]
# fmt: on
CONTEXT = {"huge": 10**5000, "list": [[1]]}


def run(expression: str) -> tuple[Any, list[str]]:
    warnings = Warnings()
    value = render(
        f"{{{{ {expression} }}}}",
        CONTEXT,
        now=lambda: NOW,
        uuid=lambda: "00000000-0000-4000-8000-000000000001",
        warnings=warnings,
    )
    return value, warnings.messages


@pytest.mark.parametrize(("expression", "expected"), [row for rows in GIVES.values() for row in rows])
def test_a_function_returns(expression: str, expected: Any) -> None:
    value, warnings = run(expression)

    assert (value, type(value), warnings) == (expected, type(expected), [])


@pytest.mark.parametrize(("expression", "message"), REFUSES)
def test_a_function_rejects_arguments_outside_the_calendar(expression: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        run(expression)

    assert caught.value.message == message
    assert (caught.value.line, caught.value.column) == (1, 4)


@pytest.mark.parametrize(("expression", "expected", "message"), WARNS)
def test_a_function_warns_if_its_argument_is_not_a_date(expression: str, expected: Any, message: str) -> None:
    assert run(expression) == (expected, [message])


def test_the_table_covers_every_function() -> None:
    assert set(GIVES) == set(RENDERED)


@pytest.mark.parametrize("name", RENDERED)
def test_the_example_of_a_function_is_valid_and_uses_it(name: str) -> None:
    function = FUNCTIONS[name]
    render(function.example, {})

    assert f"{name}(" in function.example
    assert function.signature.startswith(f"{name}(")


def test_a_time_outside_the_calendar_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"days_ago\(\) is outside the years 1 to 9999"):
        render("{{ days_ago(300000) }}", {}, now=lambda: datetime(500, 1, 1, tzinfo=UTC))


def test_the_clock_of_the_caller_can_be_in_any_zone() -> None:
    late = NOW.astimezone(timezone(timedelta(hours=14)))

    assert render("{{ now() }} {{ today() }}", {}, now=lambda: late) == "2026-05-01T12:30:15.250000Z 2026-05-01"


def test_by_default_the_clock_and_the_ids_are_real() -> None:
    before = datetime.now(UTC).timestamp()
    seconds, first, second = render(["{{ timestamp() }}", "{{ uuid() }}", "{{ uuid() }}"], {})

    assert int(before) <= seconds <= datetime.now(UTC).timestamp()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert first != second
