"""Fire times of a cron expression in a time zone, the same as those of Temporal. Replay-sensitive: no clock.

The search in `_find_next` follows Temporal's server: it tries the fields of the wall clock from the day inwards and
converts a wall time to an instant only at the end (`_resolve`). A wall time does not name one instant in the nights
when clocks change. Two examples:

Clocks go forward in Vienna on 2026-03-29 from 02:00 (UTC+1) to 03:00 (UTC+2); `30 2 * * *` after March 28, 12:00 UTC:

    wall time       resolves to     whose wall time is    so
    03-29 02:30     01:30 UTC       03:30, hour 3         skipped: the clocks never showed 02:30
    03-30 02:30     00:30 UTC       02:30                 fires, 2026-03-30T00:30Z

Clocks go back in New York on 2026-11-01 from 02:00 (UTC-4) to 01:00 (UTC-5); `30 1 * * *` after 05:00 UTC:

    wall time       resolves to     late                  so
    11-01 01:30     05:30 UTC       no                    fires, 2026-11-01T05:30Z
    11-01 02:00     07:00 UTC       2 h after 01:00       hour 1 is tried once more, `late`
    11-01 01:30     05:30 UTC       yes: one hour later   fires again, 2026-11-01T06:30Z

East of Greenwich each wall time fires once, on Temporal as here: in Vienna on 2026-10-25 (03:00 goes back to 02:00)
`30 2 * * *` fires at 01:30 UTC only, when clocks show 02:30 for the second time. `tests/temporal/test_cron_times.py`
compares the search with the server.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from orchestrator.timing.cron import EPOCH, INSTANT, LAST_YEAR, CronError, Fields, expand, load_zone

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def find_next_fire(expression: str, after: datetime, timezone: str = "UTC") -> datetime:
    """Return the first time after `after`, in UTC; raises CronError."""
    for moment in iterate_fire_times(expression, after, timezone):
        return moment
    raise CronError(f"{expression!r} does not fire after {after}")


def list_fire_times(expression: str, after: datetime, count: int, timezone: str = "UTC") -> list[datetime]:
    """Return the next times after `after`, in UTC; raises CronError."""
    return list(islice(iterate_fire_times(expression, after, timezone), count))


def iterate_fire_times(expression: str, after: datetime, timezone: str = "UTC") -> Iterator[datetime]:
    """Yield the times after `after`, from 1970 to the end of 2100, in UTC; raises CronError."""
    sets, where = expand(expression), load_zone(timezone)
    if after.year > LAST_YEAR + 1:  # in some zones, the last hours of 2100 are in 2101 UTC
        return
    moment = max(after, EPOCH - INSTANT).astimezone(UTC)
    while True:
        candidates = [one for one in (_find_next(fields, moment, where) for fields in sets) if one is not None]
        if not candidates:
            return
        if min(candidates) > moment:
            moment = min(candidates)
            yield moment
        else:
            moment += HOUR  # Pacific/Apia skipped 2011-12-30: the search must not go back


def _find_next(fields: Fields, after: datetime, where: ZoneInfo) -> datetime | None:
    """Return the first fire time after another; `None` after the last year.

    `late` is true while the clocks show an hour for the second time: its fire times are an hour later.
    """
    local = after.astimezone(where)
    day, hour, minute = local.date(), local.hour, local.minute + 1
    # The clocks showed the same hour an hour ago: this is its second time.
    late = (after - HOUR).astimezone(where).hour == hour
    while True:
        if minute > 59:
            # Two hours of real time between this hour and the next: the clocks show this hour twice.
            again = not late and _resolve(day, hour + 1, 0, where) - _resolve(day, hour, 0, where) > HOUR
            hour, minute, late = hour + (not again), 0, again
        if hour > 23:
            day, hour = day + DAY, 0
        if day.year > LAST_YEAR:
            return None
        fitting = _find_day(fields, day, hour, minute, where)
        if fitting != day:
            day, hour, minute, late = fitting, 0, 0, False
            continue
        if hour not in fields.hours:
            hour, minute, late = next((one for one in fields.hours if one > hour), 24), 0, False
            continue
        minute = next((one for one in fields.minutes if one >= minute), 60)
        if minute > 59:
            continue
        moment = _resolve(day, hour, minute, where)
        if moment.astimezone(where).hour == hour:
            return moment + HOUR if late else moment
        hour, minute = hour + 1, 0  # the clocks skipped this hour


def _find_day(fields: Fields, day: date, hour: int, minute: int, where: ZoneInfo) -> date:
    """Return this day or the first one after it that matches; a day after the last year if none does."""
    while day.year <= LAST_YEAR:
        if day.month not in fields.months:
            # In the next month, whatever the length of this one.
            day = day.replace(day=28) + 4 * DAY
            day, hour, minute = day.replace(day=1), 0, 0
            continue
        # A midnight that the clocks skip resolves to the day before; Temporal takes the day of the week from there.
        if day.day in fields.days and _get_weekday(day, hour, minute, where) in fields.weekdays:
            break
        day, hour, minute = day + DAY, 0, 0
    return day


def _get_weekday(day: date, hour: int, minute: int, where: ZoneInfo) -> int:
    return _resolve(day, hour, minute, where).astimezone(where).isoweekday() % 7


def _resolve(day: date, hour: int, minute: int, where: ZoneInfo) -> datetime:
    """Return the instant of a wall time; where there are two or none, the one that Temporal's server chooses."""
    # As Go's `time.Date`, with which the server computes: the offset that holds at the wall time, read as if it
    # were UTC, gives a first guess, and the offset at that guess gives the result.
    wall = datetime.combine(day, time(), UTC) + timedelta(hours=hour, minutes=minute)
    return wall - _get_offset(wall - _get_offset(wall, where), where)


def _get_offset(moment: datetime, where: ZoneInfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta()
