"""Cron expressions: the only module that imports croniter. Replay-sensitive: no clock.

An expression has five fields or is one of the `@` aliases. `fire_times` turns its fields into times.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

from orchestrator.errors import OrchestratorError
from orchestrator.jsontools.time_zones import find_zone, suggest_zone

ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
FIELDS = ("minute", "hour", "day of month", "month", "day of week")
NAMES = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat")
FIELD = re.compile(r"[0-9*,/-]+")
PART = re.compile(r"(?:\*|(?P<start>\d+|[a-z]{3})(?:-(?P<end>\d+|[a-z]{3}))?)(?:/(?P<step>\d+))?")
"""One part of a field: `5`, `1-5`, `mon-fri`, `*/15`."""
VALUE_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Smallest and largest number in each field; 0 and 7 are both Sunday."""
UNREADABLE = (CroniterError, ValueError, KeyError, IndexError)
"""What croniter raises for an expression that it cannot read or that never fires."""
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))
MAX_LENGTH = 1_000
"""Characters: the lists of an expression are expanded each time it is read."""
YEARS_AHEAD = 50
LAST_YEAR = 2100
"""Temporal schedules nothing after it."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing fires before it."""
INSTANT = timedelta(microseconds=1)
START = datetime(2000, 1, 1, tzinfo=UTC)


class CronError(OrchestratorError):
    """The cron expression or its time zone is invalid."""

    code = "bad_cron"


class Fields(NamedTuple):
    """The values that each part of a fire time can have; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


def expand(expression: str) -> list[Fields]:
    """Return the values of each field; raises CronError.

    Cron fires if either matches where both the day of the month and the day of the week are restricted: two sets then.
    """
    problem = _find_problem(expression)
    if problem is not None:
        raise CronError(problem)
    columns, _ = croniter.expand(expression.strip().lower())
    # croniter writes `*` for a field that matches all its values, but not for days of the month: `1-31` restricts.
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
    """Return what is wrong with an expression and in which field; `None` if it is valid."""
    if len(expression) > MAX_LENGTH:
        return f"a cron expression has at most {MAX_LENGTH:,} characters"
    text = expression.strip().lower()
    if text.startswith("@"):
        return None if text in ALIASES else f"{expression!r} is not one of {', '.join(ALIASES)}"
    fields = text.split()
    if len(fields) != len(FIELDS):
        return f"a cron expression has five fields ({', '.join(FIELDS)}), not {len(fields)}"
    for name, field, original in zip(FIELDS, fields, expression.split(), strict=True):
        if not FIELD.fullmatch(NAMES.sub("1", field)):
            return f"{name}: {original!r:.60} is not supported; use numbers, names, `*`, `,`, `-` and `/`"
    try:
        croniter.expand(text)
    except UNREADABLE:
        problems = map(_find_field_problem, FIELDS, fields, LIMITS)
        return next(filter(None, problems), f"{expression!r} is not a cron expression")
    try:
        # `0 0 30 2 *` is well formed and never fires.
        croniter(text, START, max_years_between_matches=YEARS_AHEAD).get_next()
    except UNREADABLE:
        return f"{expression!r} never fires: no date has that day and month"
    return None


def _find_field_problem(name: str, field: str, limits: tuple[int, int]) -> str | None:
    """Return what is wrong with one field, such as `minute: 75 is not between 0 and 59`."""
    low, high = limits
    for part in field.split(","):
        match = PART.fullmatch(part)
        if match is None:
            return f"{name}: {part!r:.60} is not a value, a range such as {low}-{high}, `*`, or one of them with a step"
        for value in filter(None, match.group("start", "end")):
            # Nine digits decide: Python refuses to convert a number of more than 4,300, with a ValueError.
            if value.isdecimal() and not low <= int(value[:9]) <= high:
                return f"{name}: {value[:20]} is not between {low} and {high}"
            if not value.isdecimal() and value not in VALUE_NAMES.get(name, ()):
                return f"{name}: {value!r} is not a {name}"
        step = match.group("step")
        if step is not None and int(step[:9]) == 0:
            return f"{name}: the step must be 1 or more, not 0"
    return None


def find_wide_steps(expression: str) -> list[str]:
    """Return what is wrong with steps of a valid expression that are wider than their field or range.

    A step as long as the whole field says what it does: `*/60` in the minutes is once in an hour. Months differ in
    length, so that does not hold for their days.
    """
    text = expression.strip().lower()
    if text.startswith("@"):
        return []
    problems = []
    for name, field, limits, every in zip(FIELDS, text.split(), LIMITS, RANGES, strict=True):
        for part in field.split(","):
            match = PART.fullmatch(part)
            if match is None or match["step"] is None:
                continue
            step, whole = int(match["step"]), len(every)
            first, size = _measure_part(match["start"], match["end"], name, limits, whole)
            if 1 < step >= size and (step != whole or name == "day of month"):
                problems.append(f"{name}: {part!r:.60} matches {first} only: the step is wider than what it divides")
    return problems


def _measure_part(
    start: str | None, end: str | None, name: str, limits: tuple[int, int], whole: int
) -> tuple[int, int]:
    """Return the first value of a part and the number of values that its step divides."""
    names = VALUE_NAMES.get(name, ())
    low = limits[0]

    def number(text: str) -> int:
        return int(text) if text.isdecimal() else low + names.index(text)

    first = low if start is None else number(start)
    last = low + whole - 1 if end is None else number(end)
    return first, last - first + 1 if last >= first else last - first + 1 + whole


def load_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises CronError."""
    zone = find_zone(name)
    if zone is None:
        raise CronError(f"unknown time zone {name!r:.60}", hint=suggest_zone(name))
    return zone


_find_problem = lru_cache(1024)(find_problem)
