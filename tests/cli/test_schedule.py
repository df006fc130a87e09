"""`schedule`: fire times, triggers and backfills."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import InProcess, invoke
from tests.cli.support import require_success, write_definition


@pytest.mark.parametrize(
    ("args", "times"),
    [
        (
            ("0 8 * * mon", "--timezone", "Europe/Vienna", "--after", "2026-03-20T00:00Z", "--count", "2"),
            ["2026-03-23T07:00:00Z", "2026-03-30T06:00:00Z"],  # summer time begins on the 29th
        ),
        (("@daily", "--after", "2026-02-27", "--count", "2"), ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"]),
    ],
)
def test_the_next_times_of_a_schedule(args: tuple[str, ...], times: list[str]) -> None:
    lines = invoke("schedule", "next", *args).stdout.splitlines()

    assert [line.split("\t")[1] for line in lines] == times
    assert json.loads(invoke("schedule", "next", *args, "--json").stdout) == times


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("0 8 * *",), "a cron expression has five fields (minute, hour, day of month, month, day of week), not 4"),
        (("61 * * * *",), "minute: 61 is not between 0 and 59"),
        (("@daily", "--timezone", "Mars/Base"), "unknown time zone 'Mars/Base'"),
        (("@daily", "--after", "soon"), "--after 'soon' is not an ISO 8601 time"),
        (("@daily", "--after", "9999-12-31T23:59"), "--after '9999-12-31T23:59' is not between 1970 and 2100"),
        (("@daily", "--after", "2101-01-01"), "is not between 1970 and 2100"),
        (("@daily", "--after", "0001-01-01", "--timezone", "America/New_York"), "is not between 1970 and 2100"),
        (("@daily", "--after", "0001-01-01T00:00+14:00"), "is not between 1970 and 2100"),
        (("@daily", "--timezone", "localtime"), "unknown time zone 'localtime'"),
        (("@daily", "--count", "0"), "Invalid value for '--count': "),
        (("@daily", "--count", "many"), "Invalid value for '--count': "),
    ],
)
def test_a_schedule_that_cannot_be_read_is_bad_usage(args: tuple[str, ...], message: str) -> None:
    result = invoke("schedule", "next", *args)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_the_last_time_of_a_schedule_is_said_to_be_the_last() -> None:
    result = invoke("schedule", "next", "@daily", "--after", "2100-12-30T12:00Z", "--count", "2")
    none = invoke("schedule", "next", "@daily", "--after", "2100-12-31T00:00Z", "--json")

    assert result.stdout.splitlines() == ["Fri 2100-12-31 00:00 UTC\t2100-12-31T00:00:00Z"]
    assert (none.exit_code, none.stdout) == (0, "[]\n")
    assert result.stderr == none.stderr == "no further fire times: schedules end with the year 2100\n"


@pytest.fixture
def hourly(command: InProcess, tmp_path: Path) -> tuple[str, str]:
    """Options that name a customer with the active workflow `hourly`."""
    customer = ("--customer", f"hourly-{tmp_path.name}")
    file = write_definition(tmp_path, "hourly", trigger={"type": "schedule", "cron": "@hourly"})
    require_success(command("workflows", "push", "--activate", file, *customer))
    return customer


SPAN = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-01T05:00Z")


@pytest.mark.temporal
def test_a_schedule_is_triggered(command: InProcess, hourly: tuple[str, str]) -> None:
    assert require_success(command("schedule", "trigger", "hourly", *hourly)).startswith("hourly: started run ")


@pytest.mark.temporal
def test_a_schedule_is_backfilled(command: InProcess, hourly: tuple[str, str]) -> None:
    assert require_success(command("schedule", "backfill", "hourly", *SPAN, *hourly)) == "hourly: 6 runs started"


@pytest.mark.temporal
def test_a_backfill_between_times_that_cannot_be_read_is_bad_usage(command: InProcess, hourly: tuple[str, str]) -> None:
    done = command("schedule", "backfill", "hourly", "--from", "soon", "--to", "2026-03-01T05:00Z", *hourly)

    assert (done.code, "--from 'soon' is not an ISO 8601 time" in done.err) == (2, True)


@pytest.mark.temporal
def test_an_archived_workflow_has_no_schedule(command: InProcess, hourly: tuple[str, str]) -> None:
    require_success(command("workflows", "archive", "hourly", *hourly))

    done = command("schedule", "trigger", "hourly", *hourly)

    assert (done.code, "has no schedule" in done.err) == (2, True)


@pytest.mark.temporal
@pytest.mark.parametrize("args", [("trigger", "nope"), ("backfill", "nope", *SPAN)], ids=lambda args: args[0])
def test_a_schedule_of_an_unknown_workflow_is_bad_usage(command: InProcess, args: tuple[str, ...]) -> None:
    done = command("schedule", *args)

    assert (done.code, "there is no workflow 'nope'" in done.err) == (2, True), done.err
