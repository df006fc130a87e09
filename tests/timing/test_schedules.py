"""Cron expressions and the fire times of schedules, without a server."""

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import OperationRefused
from orchestrator.model.definition import Trigger
from orchestrator.temporal.schedules.spec import build_calendars, build_policy, build_ranges, build_spec
from orchestrator.timing.cron import CronError, Fields, expand, find_problem, find_wide_steps
from orchestrator.timing.fire_times import find_next_fire, iterate_fire_times
from orchestrator.timing.schedule import list_fire_times, parse_bounds
from tests.crons import EXPRESSIONS

ANY_MINUTE, ANY_HOUR = tuple(range(60)), tuple(range(24))
ANY_DAY, ANY_MONTH, ANY_WEEKDAY = tuple(range(1, 32)), tuple(range(1, 13)), tuple(range(7))
START = datetime(2026, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def make_schedule(**keys: Any) -> Trigger:
    return Trigger(type="schedule", **keys)


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("* * * * *", [Fields(ANY_MINUTE, ANY_HOUR, ANY_DAY, ANY_MONTH, ANY_WEEKDAY)]),
        ("@hourly", [Fields((0,), ANY_HOUR, ANY_DAY, ANY_MONTH, ANY_WEEKDAY)]),
        ("@Weekly", [Fields((0,), (0,), ANY_DAY, ANY_MONTH, (0,))]),
        ("@yearly", [Fields((0,), (0,), (1,), (1,), ANY_WEEKDAY)]),
        ("0 0 * * 0,7", [Fields((0,), (0,), ANY_DAY, ANY_MONTH, (0,))]),
        ("0 0 * * 5-7", [Fields((0,), (0,), ANY_DAY, ANY_MONTH, (0, 5, 6))]),
        ("0 0 * * FRI-mon", [Fields((0,), (0,), ANY_DAY, ANY_MONTH, (0, 1, 5, 6))]),
        ("10-50/20 3 * jan,mar *", [Fields((10, 30, 50), (3,), ANY_DAY, (1, 3), ANY_WEEKDAY)]),
        ("0 22-2 * * *", [Fields((0,), (0, 1, 2, 22, 23), ANY_DAY, ANY_MONTH, ANY_WEEKDAY)]),
        (
            "5 4 1,15 * mon",
            [Fields((5,), (4,), (1, 15), ANY_MONTH, ANY_WEEKDAY), Fields((5,), (4,), ANY_DAY, ANY_MONTH, (1,))],
        ),
    ],
)
def test_a_cron_expression_is_expanded(expression: str, fields: list[Fields]) -> None:
    assert expand(expression) == fields
    assert len(build_calendars(expression)) == len(fields)


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("@reboot", "@hourly"),
        ("* * * *", "has five fields"),
        ("* * * * * *", "has five fields"),
        ("0 0 L * *", "day of month: 'L' is not supported"),
        ("0 0 ? * 1", "day of month: '?' is not supported"),
        ("0 0 * * 1#2", "day of week: '1#2' is not supported"),
        ("0 0 15W * *", "day of month: '15W' is not supported"),
        ("TZ=UTC 0 0 * * *", "has five fields"),
        ("H H * * *", "minute: 'H' is not supported"),
        ("75 * * * *", "minute: 75 is not between 0 and 59"),
        ("0 8-24 * * *", "hour: 24 is not between 0 and 23"),
        ("0 0 1,0 * *", "day of month: 0 is not between 1 and 31"),
        ("0 0 * 13 *", "month: 13 is not between 1 and 12"),
        ("0 0 * * 8", "day of week: 8 is not between 0 and 7"),
        ("0 0 mon * *", "day of month: 'mon' is not a day of month"),
        ("0 0 * mon *", "month: 'mon' is not a month"),
        ("0 0 * * 1-", "day of week: '1-' is not a value, a range such as 0-7, `*`"),
        ("0,,5 0 * * *", "minute: '' is not a value"),
        ("-1 0 * * *", "minute: '-1' is not a value"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("*/0 * * * *", "minute: the step must be 1 or more, not 0"),
        ("1-5/0 * * * *", "minute: the step must be 1 or more, not 0"),
    ],
)
def test_an_invalid_or_unsupported_expression_is_rejected_with_the_field(expression: str, word: str) -> None:
    assert word in str(find_problem(expression))
    with pytest.raises(CronError):
        build_calendars(expression)


@given(st.lists(st.text("0123456789*,-/jansumo", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join))
@settings(max_examples=300)
def test_a_problem_never_quotes_the_library(expression: str) -> None:
    problem = find_problem(expression)

    assert problem is None or not re.search(r"acceptable|out of|is not alpha|croniter|\[", problem)


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("*/90 * * * *", 0), ("5/90 * * * *", 5), ("50/15 * * * *", 50), ("10-20/15 * * * *", 10), ("0 */30 * * *", 0),
        ("0 0 */31 * *", 1), ("0 0 1 jan-mar/5 *", 1), ("0 22-2/5 * * *", 22), ("0 0 * * mon-wed/3", 1),
    ],
)  # fmt: skip
def test_a_step_that_is_wider_than_what_it_divides_matches_one_value(expression: str, first: int) -> None:
    (problem,) = find_wide_steps(expression)

    assert f"matches {first} only" in problem


@pytest.mark.parametrize(
    "expression",
    [
        "*/45 * * * *",
        "*/60 */24 * */12 */7",
        "5/60 * * * *",
        "0 22-2/4 * * *",
        "0 0 * * 0-7/3",
        "5-5/1 * * * *",
        "@daily",
    ],
)
def test_a_step_that_fits_or_is_as_long_as_its_field_is_not_wide(expression: str) -> None:
    assert find_wide_steps(expression) == []


def test_ranges_are_short() -> None:
    assert [(one.start, one.end) for one in build_ranges((0, 1, 2, 5, 7, 8))] == [(0, 2), (5, 5), (7, 8)]
    assert [(one.start, one.end) for one in build_ranges(ANY_MINUTE)] == [(0, 59)]


@pytest.mark.thorough
def test_fire_times_in_utc_are_those_of_croniter() -> None:
    for expression in EXPRESSIONS:
        walk = croniter(expression, START, max_years_between_matches=50)

        expected = [walk.get_next(datetime) for _ in range(15)]
        assert (expression, expected) == (expression, list(islice(iterate_fire_times(expression, START), 15)))


@pytest.mark.parametrize(
    ("zone", "expression", "after", "times"),
    [
        # Clocks go from 2:00 to 3:00 on March 29: that half past two is left out.
        ("Europe/Vienna", "30 2 * * *", "2026-03-28T12:00Z", ["2026-03-30T00:30Z", "2026-03-31T00:30Z"]),
        ("Europe/Vienna", "0 * * * *", "2026-03-29T00:00Z", ["2026-03-29T01:00Z", "2026-03-29T02:00Z"]),
        # They go back from 2:00 to 1:00 on November 1: half past one comes twice.
        ("America/New_York", "30 1 * * *", "2026-11-01T05:00Z", ["2026-11-01T05:30Z", "2026-11-01T06:30Z"]),
        ("America/New_York", "0 1 1 * *", "2026-11-01T05:00Z", ["2026-11-01T06:00Z", "2026-12-01T06:00Z"]),
        ("Asia/Kolkata", "0 9 * * mon", "2026-01-01T00:00Z", ["2026-01-05T03:30Z", "2026-01-12T03:30Z"]),
        ("UTC", "0 0 29 2 *", "2026-01-01T00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]),
    ],
)
def test_fire_times_when_clocks_change(zone: str, expression: str, after: str, times: list[str]) -> None:
    assert list(islice(iterate_fire_times(expression, instant(after), zone), 2)) == [instant(time) for time in times]


def test_a_day_that_a_zone_skipped_does_not_stop_the_search() -> None:
    found = list(islice(iterate_fire_times("0 12 * * *", instant("2011-12-29T00:00Z"), "Pacific/Apia"), 3))

    assert found == [instant("2011-12-29T22:00Z"), instant("2011-12-30T22:00Z"), instant("2011-12-31T22:00Z")]


def test_nothing_fires_after_the_last_year_of_temporal() -> None:
    assert list(iterate_fire_times("0 0 1 1 *", instant("2099-06-01T00:00Z"))) == [instant("2100-01-01T00:00Z")]
    with pytest.raises(CronError, match="does not fire after"):
        find_next_fire("0 0 1 1 *", instant("2100-06-01T00:00Z"))


@pytest.mark.parametrize(
    ("trigger", "after", "times"),
    [
        (make_schedule(interval_seconds=90), "2026-01-01T00:00:01Z", ["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"]),
        (make_schedule(interval_seconds=90), "2026-01-01T00:01:30Z", ["2026-01-01T00:03:00Z", "2026-01-01T00:04:30Z"]),
        (
            make_schedule(cron="@daily", config={"timezone": "Europe/Vienna", "start_at": "2026-07-02T00:00"}),
            "2026-01-01T00:00Z",
            ["2026-07-01T22:00Z", "2026-07-02T22:00Z"],
        ),
        (
            make_schedule(cron="@daily", config={"end_at": "2026-01-02T00:00Z"}),
            "2026-01-01T00:00Z",
            ["2026-01-02T00:00Z"],
        ),
        (make_schedule(cron="@daily", config={"end_at": "2025-01-02"}), "2026-01-01T00:00Z", []),
    ],
)
def test_the_fire_times_of_a_schedule_are_known_before_it_is_installed(
    trigger: Trigger, after: str, times: list[str]
) -> None:
    assert list_fire_times(trigger, instant(after), 2) == [instant(time) for time in times]


@pytest.mark.parametrize(
    ("trigger", "times"),
    [
        # 3,000,000,000 s are 95 years: 1970 + 95 = 2065, the next is past the end.
        (make_schedule(interval_seconds=3_000_000_000), ["2065-01-24T05:20:00Z"]),
        (make_schedule(interval_seconds=60, config={"start_at": "9999-12-31T23:59:59Z"}), []),
        (make_schedule(cron="@daily", config={"start_at": "9999-12-31T23:59:59Z"}), []),
        (make_schedule(cron="@daily", config={"start_at": "2100-12-30T12:00Z"}), ["2100-12-31T00:00Z"]),
        (make_schedule(interval_seconds=86_400, config={"start_at": "2100-12-31"}), ["2100-12-31T00:00Z"]),
    ],
)
def test_fire_times_end_with_the_last_year_of_temporal(trigger: Trigger, times: list[str]) -> None:
    assert list_fire_times(trigger, START, 100) == [instant(time) for time in times]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_fire_times_start_at_any_time(zone: str) -> None:
    earliest = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    latest = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))

    assert find_next_fire("0 0 * * *", earliest, zone).year == 1970
    assert list(iterate_fire_times("* * * * *", latest, zone)) == []
    assert list(iterate_fire_times("* * * * *", instant("2101-01-02T00:00Z"), zone)) == []
    assert list_fire_times(make_schedule(interval_seconds=60), earliest, 1) == [instant("1970-01-01T00:00Z")]
    assert list_fire_times(make_schedule(interval_seconds=60), latest, 1) == []


def test_bounds_without_an_offset_are_in_the_zone_of_the_schedule() -> None:
    config = {"timezone": "Asia/Kolkata", "start_at": "2026-01-01", "end_at": "2026-01-02T00:00:00.5+01:00"}

    assert parse_bounds(make_schedule(cron="@daily", config=config)) == (
        instant("2025-12-31T18:30Z"),
        instant("2026-01-01T23:00Z"),
    )


def test_policies_and_their_defaults() -> None:
    plain = build_policy(make_schedule(cron="@daily"))
    chosen = build_policy(make_schedule(cron="@daily", config={"overlap": "buffer_one", "catchup_window_seconds": 60}))

    assert (plain.overlap.name, plain.catchup_window) == ("SKIP", timedelta(hours=1))
    assert (chosen.overlap.name, chosen.catchup_window) == ("BUFFER_ONE", timedelta(minutes=1))
    assert build_spec(make_schedule(cron="@daily")).time_zone_name == "UTC"
    assert build_spec(make_schedule(cron="@daily", config={"jitter_seconds": 5})).jitter == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"interval_seconds": 1.5}, "whole number"),
        ({"interval_seconds": 0.5}, "whole number"),
        ({"interval_seconds": 1e12}, "a hundred years"),
        ({"cron": "@daily", "config": {"jitter_seconds": float("inf")}}, "jitter_seconds"),
        ({"cron": "@daily", "config": {"start_at": "0001-01-01T00:00+14:00"}}, "start_at"),
        ({"cron": "@daily", "config": {"end_at": "tomorrow"}}, "end_at"),
    ],
)
def test_an_invalid_schedule_is_rejected(keys: dict[str, Any], word: str) -> None:
    with pytest.raises(OperationRefused, match=word):
        build_spec(make_schedule(**keys))


def test_an_unknown_overlap_policy_and_an_unknown_zone_are_rejected() -> None:
    with pytest.raises(OperationRefused, match="buffer_one"):
        build_policy(make_schedule(cron="@daily", config={"overlap": "queue"}))
    with pytest.raises(CronError, match="unknown time zone"):
        build_spec(make_schedule(cron="@daily", config={"timezone": "Mars/Base"}))
