"""When a cron expression fires: the one importer of croniter. Replay-sensitive: no clock.

Five fields or an `@` form. Times are those at which Temporal's schedules fire, also in the nights when clocks
change: a skipped hour does not fire. When clocks go back, zones west of Greenwich fire twice in the doubled hour.
East of it Temporal takes the first of the two hours for the hour before, and so do we: what is asked for before
is what will happen.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from croniter.croniter import CroniterError

from orchestrator.errors import OrchestratorError

ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
FIELDS = ("minute", "hour", "day of month", "month", "day of week")
NAMES = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat")
FIELD = re.compile(r"[0-9*,/-]+")
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))
YEARS_AHEAD = 50
LAST_YEAR = 2100
"""Temporal looks no further."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing fires before it."""
INSTANT = timedelta(microseconds=1)
NO_ZONES = frozenset(("localtime",))
"""What the system's folder lists beside zones: it means another one on each machine."""
START = datetime(2000, 1, 1, tzinfo=UTC)


class CronError(OrchestratorError):
    """The cron expression cannot be read."""

    code = "bad_cron"


class Fields(NamedTuple):
    """Values that a time must have to be a fire time: one of each; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


def expand(expression: str) -> list[Fields]:
    """Write an expression out; raises CronError.

    Two sets where both the day of the month and the day of the week are restricted: either may fit.
    """
    problem = _find_problem(expression)
    if problem is not None:
        raise CronError(problem)
    columns, _ = croniter.expand(expression.strip().lower())
    every = ["*" in values for values in columns]
    fields = Fields(
        *(
            tuple(limits) if free else tuple(sorted(map(int, values)))
            for values, free, limits in zip(columns, every, RANGES, strict=True)
        )
    )
    if every[2] or every[4]:
        return [fields]
    return [fields._replace(weekdays=tuple(RANGES[4])), fields._replace(days=tuple(RANGES[2]))]


def find_problem(expression: str) -> str | None:
    """Say what is wrong with an expression; `None` when it is good."""
    text = expression.strip().lower()
    if text.startswith("@"):
        return None if text in ALIASES else f"{expression!r} is none of {', '.join(ALIASES)}"
    fields = text.split()
    if len(fields) != len(FIELDS):
        return f"five fields are needed ({', '.join(FIELDS)}), {len(fields)} are given"
    for name, field in zip(FIELDS, fields, strict=True):
        if not FIELD.fullmatch(NAMES.sub("1", field)):
            return f"{field!r} in {name} is of another dialect: names, numbers, `*`, `,`, `-` and `/` are read"
    try:
        croniter(text, START, max_years_between_matches=YEARS_AHEAD).get_next()
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        return f"{expression!r} cannot be read or never fires: {error}"
    return None


def load_zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name; raises CronError."""
    # The folder of zones holds more that can be opened: `posixrules`, `right/UTC`.
    if name != "UTC" and name not in _list_zones():
        raise CronError(f"there is no time zone {name!r}", hint="use an IANA name such as Europe/Vienna")
    return ZoneInfo(name)


@cache
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)


_find_problem = lru_cache(1024)(find_problem)
