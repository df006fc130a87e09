"""Fire times of a cron expression in a time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from orchestrator.timing.cron import EPOCH, INSTANT, LAST_YEAR, CronError, Fields, expand, load_zone

HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


def find_next_fire(expression: str, after: datetime, timezone: str = "UTC") -> datetime:
    """Give the first time after `after`, in UTC; raises CronError."""
    for moment in iterate_fire_times(expression, after, timezone):
        return moment
    raise CronError(f"{expression!r} does not fire after {after}")


def list_fire_times(expression: str, after: datetime, count: int, timezone: str = "UTC") -> list[datetime]:
    """Give the next times after `after`, in UTC; raises CronError."""
    return list(islice(iterate_fire_times(expression, after, timezone), count))


def iterate_fire_times(expression: str, after: datetime, timezone: str = "UTC") -> Iterator[datetime]:
    """Give the times after `after`, from 1970 to the end of 2100, in UTC; raises CronError."""
    sets, where = expand(expression), load_zone(timezone)
    if after.year > LAST_YEAR + 1:  # the last hours of 2100 are in 2101 elsewhere
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
            moment += HOUR  # a zone that leaves out a whole day sends the search back


def _find_next(fields: Fields, after: datetime, where: ZoneInfo) -> datetime | None:
    """Give the first time after another, as Temporal finds it: wall clock fields are tried from the outside in.

    `late` says that the hour is shown for the second time; Temporal adds an hour then.
    """
    local = after.astimezone(where)
    day, hour, minute = local.date(), local.hour, local.minute + 1
    late = (after - HOUR).astimezone(where).hour == hour
    while True:
        if minute > 59:
            # An hour later it may be two hours later: then this one comes again.
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
        hour, minute = hour + 1, 0  # the clocks were put forward over it


def _find_day(fields: Fields, day: date, hour: int, minute: int, where: ZoneInfo) -> date:
    """Give the first day from this one on that fits; past the last year where none does."""
    while day.year <= LAST_YEAR:
        if day.month not in fields.months:
            day = day.replace(day=28) + 4 * DAY
            day, hour, minute = day.replace(day=1), 0, 0
            continue
        # A midnight that clocks leave out belongs to the day before: so Temporal reads the day of the week.
        if day.day in fields.days and _get_weekday(day, hour, minute, where) in fields.weekdays:
            break
        day, hour, minute = day + DAY, 0, 0
    return day


def _get_weekday(day: date, hour: int, minute: int, where: ZoneInfo) -> int:
    return _resolve(day, hour, minute, where).astimezone(where).isoweekday() % 7


def _resolve(day: date, hour: int, minute: int, where: ZoneInfo) -> datetime:
    """Give the time at which clocks of a zone show this, as Temporal's server chooses it where there are two."""
    wall = datetime.combine(day, time(), UTC) + timedelta(hours=hour, minutes=minute)
    return wall - _get_offset(wall - _get_offset(wall, where), where)


def _get_offset(moment: datetime, where: ZoneInfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta()
