"""`schedule`: fire times, triggers and backfills."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import invoke
from tests.cli.shell import Dev
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


@pytest.mark.temporal
async def test_a_schedule_is_triggered_and_backfilled(dev: Dev, tmp_path: Path) -> None:
    hourly = write_definition(tmp_path, "hourly", trigger={"type": "schedule", "cron": "@hourly"})
    mine = ("--customer", "kept-hourly")
    require_success(await dev("workflows", "push", "--activate", hourly, *mine))

    assert require_success(await dev("schedule", "trigger", "hourly", *mine)) == "hourly: run started"
    span = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-01T05:00Z")
    assert require_success(await dev("schedule", "backfill", "hourly", *span, *mine)) == "hourly: 6 runs started"
    bad = await dev("schedule", "backfill", "hourly", "--from", "soon", "--to", "2026-03-01T05:00Z", *mine)
    assert (bad.code, "--from 'soon' is not an ISO 8601 time" in bad.err) == (2, True)
    require_success(await dev("workflows", "archive", "hourly", *mine))
    none = await dev("schedule", "trigger", "hourly", *mine)
    assert (none.code, "has no schedule" in none.err) == (2, True)
    for args in (("trigger", "nope"), ("backfill", "nope", *span)):
        done = await dev("schedule", *args, *mine)
        assert (done.code, "there is no workflow 'nope'" in done.err) == (2, True), done.err
