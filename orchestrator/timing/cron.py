"""When a cron expression fires: the one importer of croniter. Replay-sensitive: no clock.

Five fields or an `@` form. Times are those at which Temporal's schedules fire, also in the nights when clocks
change: a skipped hour does not fire. When clocks go back, zones west of Greenwich fire twice in the doubled hour.
East of it Temporal takes the first of the two hours for the hour before, and so do we: what is asked for before
is what will happen.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import islice
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
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


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
        croniter(text, START, max_years_between_matches=YEARS_AHEAD).get_next()
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        return f"{expression!r} cannot be read or never fires: {error}"
    return None


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name; raises CronError."""
    # The folder of zones holds more that can be opened: `posixrules`, `right/UTC`.
    if name != "UTC" and name not in _zones():
        raise CronError(f"there is no time zone {name!r}", hint="use an IANA name such as Europe/Vienna")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)


def next_fire(expression: str, after: datetime, timezone: str = "UTC") -> datetime:
    """Give the first time after `after`, in UTC; raises CronError."""
    for moment in fires(expression, after, timezone):
        return moment
    raise CronError(f"{expression!r} does not fire after {after}")


def fire_times(expression: str, after: datetime, count: int, timezone: str = "UTC") -> list[datetime]:
    """Give the next times after `after`, in UTC; raises CronError."""
    return list(islice(fires(expression, after, timezone), count))


def fires(expression: str, after: datetime, timezone: str = "UTC") -> Iterator[datetime]:
    """Give the times after `after`, from 1970 to the end of 2100, in UTC; raises CronError."""
    sets, where = expanded(expression), zone(timezone)
    if after.year > LAST_YEAR + 1:  # the last hours of 2100 are in 2101 elsewhere
        return
    moment = max(after, EPOCH - INSTANT).astimezone(UTC)
    while True:
        found = [one for one in (_next(fields, moment, where) for fields in sets) if one is not None]
        if not found:
            return
        if min(found) > moment:
            moment = min(found)
            yield moment
        else:
            moment += HOUR  # a zone that leaves out a whole day sends the search back


def _next(fields: Fields, after: datetime, where: ZoneInfo) -> datetime | None:
    """Give the first time after another, as Temporal finds it: wall clock fields are tried from the outside in.

    `late` says that the hour is shown for the second time; Temporal adds an hour then.
    """
    shown = after.astimezone(where)
    day, hour, minute = shown.date(), shown.hour, shown.minute + 1
    late = (after - HOUR).astimezone(where).hour == hour
    while True:
        if minute > 59:
            # An hour later it may be two hours later: then this one comes again.
            again = not late and _instant(day, hour + 1, 0, where) - _instant(day, hour, 0, where) > HOUR
            hour, minute, late = hour + (not again), 0, again
        if hour > 23:
            day, hour = day + DAY, 0
        if day.year > LAST_YEAR:
            return None
        fitting = _day(fields, day, hour, minute, where)
        if fitting != day:
            day, hour, minute, late = fitting, 0, 0, False
            continue
        if hour not in fields.hours:
            hour, minute, late = next((one for one in fields.hours if one > hour), 24), 0, False
            continue
        minute = next((one for one in fields.minutes if one >= minute), 60)
        if minute > 59:
            continue
        moment = _instant(day, hour, minute, where)
        if moment.astimezone(where).hour == hour:
            return moment + HOUR if late else moment
        hour, minute = hour + 1, 0  # the clocks were put forward over it


def _day(fields: Fields, day: date, hour: int, minute: int, where: ZoneInfo) -> date:
    """Give the first day from this one on that fits; past the last year where none does."""
    while day.year <= LAST_YEAR:
        if day.month not in fields.months:
            day = day.replace(day=28) + 4 * DAY
            day, hour, minute = day.replace(day=1), 0, 0
            continue
        # A midnight that clocks leave out belongs to the day before: so Temporal reads the day of the week.
        if day.day in fields.days and _weekday(day, hour, minute, where) in fields.weekdays:
            break
        day, hour, minute = day + DAY, 0, 0
    return day


def _weekday(day: date, hour: int, minute: int, where: ZoneInfo) -> int:
    return _instant(day, hour, minute, where).astimezone(where).isoweekday() % 7


def _instant(day: date, hour: int, minute: int, where: ZoneInfo) -> datetime:
    """Give the time at which clocks of a zone show this, as Temporal's server chooses it where there are two."""
    wall = datetime.combine(day, time(), UTC) + timedelta(hours=hour, minutes=minute)
    return wall - _offset(wall - _offset(wall, where), where)


def _offset(moment: datetime, where: ZoneInfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta()


_problem = lru_cache(1024)(problem)
