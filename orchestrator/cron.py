"""When a cron expression fires: the one importer of croniter. Replay-sensitive: no clock.

Five fields or an `@` form, as Temporal's calendars understand them. At a change to summer time a skipped hour
does not fire, at the change back a doubled one fires twice, as Temporal's schedules do.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterError

from orchestrator.errors import OrchestratorError

ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
FIELDS = ("minute", "hour", "day of month", "month", "day of week")
NAMES = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat")
FIELD = re.compile(r"[0-9*,/-]+")
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))
YEARS_AHEAD = 50
_START = datetime(2000, 1, 1)


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


def expanded(expression: str) -> list[Fields]:
    """Write an expression out; raises CronError.

    Two sets where both the day of the month and the day of the week are restricted: either may fit.
    """
    wrong = _problem(expression)
    if wrong is not None:
        raise CronError(wrong)
    read, _ = croniter.expand(expression.strip().lower())
    every = ["*" in values for values in read]
    fields = Fields(
        *(
            tuple(limits) if free else tuple(sorted(map(int, values)))
            for values, free, limits in zip(read, every, RANGES, strict=True)
        )
    )
    if every[2] or every[4]:
        return [fields]
    return [fields._replace(weekdays=tuple(RANGES[4])), fields._replace(days=tuple(RANGES[2]))]


def problem(expression: str) -> str | None:
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
        next(_walls(text, _START))
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        return f"{expression!r} cannot be read or never fires: {error}"
    return None


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name; raises CronError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CronError(f"there is no time zone {name!r}", hint="use an IANA name such as Europe/Vienna") from None


def next_fire(expression: str, after: datetime, timezone: str = "UTC") -> datetime:
    """Give the first time after `after`, in UTC; raises CronError."""
    return next(fires(expression, after, timezone))


def fire_times(expression: str, after: datetime, count: int, timezone: str = "UTC") -> list[datetime]:
    """Give the next times after `after`, in UTC; raises CronError."""
    return list(islice(fires(expression, after, timezone), count))


def fires(expression: str, after: datetime, timezone: str = "UTC") -> Iterator[datetime]:
    """Give the times after `after` without end, in UTC; raises CronError."""
    wrong = _problem(expression)
    if wrong is not None:
        raise CronError(wrong)
    where = zone(timezone)
    start = after.astimezone(where).replace(tzinfo=None) - timedelta(hours=3)
    waiting: list[datetime] = []
    for wall in _walls(expression.strip().lower(), start):
        moments = _moments(wall, where)
        # A doubled hour is walked once but fires twice: its second times come after all its first ones.
        while waiting and waiting[0] < wall.replace(tzinfo=where).astimezone(UTC):
            yield waiting.pop(0)
        if moments and moments[0] > after:
            yield moments[0]
        waiting.extend(moment for moment in moments[1:] if moment > after)


def _moments(wall: datetime, where: ZoneInfo) -> list[datetime]:
    """Give the instants at which clocks of a zone show this: none, one or two."""
    found = [wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)]
    shown = [moment for moment in found if moment.astimezone(where).replace(tzinfo=None) == wall]
    return list(dict.fromkeys(shown))


def _walls(expression: str, start: datetime) -> Iterator[datetime]:
    """Give wall-clock times after a start, as if no zone ever changed."""
    walk = croniter(expression, start.replace(tzinfo=UTC), max_years_between_matches=YEARS_AHEAD)
    while True:
        yield walk.get_next(datetime).replace(tzinfo=None)


_problem = lru_cache(1024)(problem)
