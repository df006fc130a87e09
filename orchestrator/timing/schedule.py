"""What a trigger of type `schedule` may say: the planner checks by these, and schedules are made by them. Pure.

Each reading raises OperationRefused, or CronError where a time zone is not known.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.errors import OperationRefused
from orchestrator.model.definition import Trigger
from orchestrator.timing import schedule
from orchestrator.timing.cron import EPOCH, INSTANT, LAST_YEAR, CronError, load_zone
from orchestrator.timing.fire_times import iterate_fire_times

OVERLAPS = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
MAX_SECONDS = 100 * 365 * 86_400


def parse_interval(seconds: float | None) -> timedelta:
    """Read the time between two starts."""
    given = seconds or 0
    if given < 1 or given % 1:
        raise OperationRefused(f"interval_seconds is a whole number, 1 or more, not {given:g}")
    return parse_seconds(given, "interval_seconds")


def parse_seconds(seconds: Any, name: str) -> timedelta:
    """Read a number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise OperationRefused(f"{name} is a number from 0 to {MAX_SECONDS:,} (a hundred years), not {seconds!r:.60}")
    return timedelta(seconds=seconds)


def parse_overlap(given: Any) -> str:
    """Read the name of an overlap policy; `skip` unless one is given."""
    name = given or "skip"
    if name not in OVERLAPS:
        raise OperationRefused(f"there is no overlap policy {name!r:.60}", hint=f"one of {', '.join(OVERLAPS)}")
    return str(name)


def parse_time_zone(given: Any) -> ZoneInfo:
    """Read the name of a time zone; UTC unless one is given."""
    name = given or "UTC"
    if not isinstance(name, str):
        raise CronError(f"a time zone is named, not {name!r:.60}", hint="use an IANA name such as Europe/Vienna")
    return load_zone(name)


def parse_time(given: Any, name: str, where: ZoneInfo) -> datetime | None:
    """Read an ISO 8601 time; what names no offset is in that time zone."""
    if not given:
        return None
    try:
        read = datetime.fromisoformat(given)
        return (read if read.tzinfo else read.replace(tzinfo=where)).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError):
        raise OperationRefused(f"{name}: {given!r:.60} is not an ISO 8601 time") from None


def parse_bounds(trigger: Trigger) -> tuple[datetime | None, datetime | None]:
    """Give `start_at` and `end_at` in UTC; what names no offset is in the schedule's time zone."""
    where, config = read_zone(trigger), trigger.config
    start_at, end_at = (schedule.parse_time(config.get(name), name, where) for name in ("start_at", "end_at"))
    return start_at, end_at


def read_zone(trigger: Trigger) -> ZoneInfo:
    """Return the time zone that a trigger names."""
    return schedule.parse_time_zone(trigger.config.get("timezone"))


def list_fire_times(trigger: Trigger, after: datetime, count: int) -> list[datetime]:
    """Give the next times a schedule fires after `after`, in UTC, as Temporal will keep them but for the jitter.

    There are none after the year 2100.
    """
    start_at, end_at = parse_bounds(trigger)
    if start_at is not None and start_at > after:
        after = start_at - INSTANT
    times = islice(_iterate_times(trigger, after), count)
    return [moment for moment in times if end_at is None or moment <= end_at]


def _iterate_times(trigger: Trigger, after: datetime) -> Iterator[datetime]:
    if trigger.cron:
        yield from iterate_fire_times(trigger.cron, after, read_zone(trigger).key)
        return
    every = schedule.parse_interval(trigger.interval_seconds)
    if after.year > LAST_YEAR:
        return
    moment = EPOCH + every * ((max(after, EPOCH - INSTANT) - EPOCH) // every + 1)
    while moment.year <= LAST_YEAR:
        yield moment
        moment += every
