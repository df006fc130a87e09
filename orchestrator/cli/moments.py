"""Read and write times of people: relative on a terminal, else as RFC 3339. Every time has a zone."""

import re
from datetime import UTC, datetime, timedelta

from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import is_terminal

STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (60 * 86_400, 86_400, "d"))
"""Below how many seconds which unit is used, and its seconds."""
NOW_SECONDS = 1
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"))
"""Milliseconds of the units of a duration."""


AGO = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)(?:\s+ago)?")
AGO_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
DAYS = {"today": 0, "yesterday": 1}


def parse_moment(text: str | None, option: str, now: datetime | None = None) -> str | None:
    """Return a time of the command line in RFC 3339: one with its zone, a day, `2h` ago, or a word for a day in UTC."""
    if text is None:
        return None
    from orchestrator.model.run import format_timestamp  # loads pydantic, which help does not need

    now = now or datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in DAYS:
        return format_timestamp(midnight - timedelta(days=DAYS[text]))
    if (match := AGO.fullmatch(text)) is not None:
        return format_timestamp(now - timedelta(seconds=int(match[1]) * AGO_SECONDS[match[2]]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "use a time such as 2026-01-31T08:00:00Z, a day, 30min, 2h, 7d, today or yesterday"
        raise UsageError(f"{option} {text!r} is not a time", hint=hint) from None
    return format_timestamp(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def format_moment(text: str | None, now: datetime | None = None) -> str:
    """Return a time of the API for a table: `3 min ago` on a terminal, as it is in a pipe."""
    if text is None:
        return ""
    return format_relative(datetime.fromisoformat(text), now or datetime.now(UTC)) if is_terminal() else text


def format_relative(moment: datetime, now: datetime) -> str:
    """Return the distance of a time: `3 min ago`, `in 51 min`, or its date if it is far away."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < NOW_SECONDS:
        return "now"
    for limit, size, unit in STEPS:
        if abs(seconds) < limit:
            amount = f"{int(abs(seconds)) // size} {unit}"
            return f"in {amount}" if seconds > 0 else f"{amount} ago"
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def format_utc(moment: datetime, now: datetime | None = None) -> str:
    """Return a time to the minute with its zone, without the date if it is today's: `03:39 UTC`."""
    there = moment.astimezone(UTC)
    is_today = now is not None and there.date() == now.astimezone(UTC).date()
    return f"{there:%H:%M} UTC" if is_today else f"{there:%Y-%m-%d %H:%M} UTC"


def format_until(moment: datetime, now: datetime | None = None) -> str:
    """Return until when something waits: `until 03:39 UTC, in 51 min`."""
    distance = "" if now is None else f", {format_relative(moment, now)}"
    return f"until {format_utc(moment, now)}{distance}"


def format_duration(milliseconds: int) -> str:
    """Return a readable duration: `0 ms`, `2.5 s`, `3 m 20 s`, `2 d 4 h`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.3g} s"
    for index, (size, unit) in enumerate(UNITS):
        if milliseconds >= size:
            rest = milliseconds % size
            smaller, name = UNITS[index + 1] if index + 1 < len(UNITS) else (1000, "s")
            more = f" {rest // smaller} {name}" if rest >= smaller else ""
            return f"{milliseconds // size} {unit}{more}"
    raise ValueError(milliseconds)
