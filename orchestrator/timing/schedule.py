"""Parse the config of `schedule` triggers, for the planner's checks and for Temporal's schedules. No clock.

The parsers raise OperationRefused, or CronError for an unknown time zone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.errors import OperationRefused
from orchestrator.jsontools.json_types import describe_type, describe_unknown, describe_value
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.definition import Trigger
from orchestrator.timing.cron import EPOCH, INSTANT, LAST_YEAR, CronError, load_zone
from orchestrator.timing.fire_times import iterate_fire_times

OVERLAPS = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
MAX_SECONDS = 100 * 365 * 86_400


def parse_interval(seconds: float | None) -> timedelta:
    """Parse the interval between two starts, in seconds."""
    number = seconds or 0
    if number < 1 or number % 1:
        raise OperationRefused(f"interval_seconds must be a whole number of at least 1, not {number:g}")
    return parse_seconds(number, "interval_seconds")


def parse_seconds(seconds: Any, name: str) -> timedelta:
    """Parse a number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        limits = f"from 0 to {MAX_SECONDS:,} (a hundred years)"
        raise OperationRefused(f"{name} must be a number {limits}, not {describe_value(seconds)}")
    return timedelta(seconds=seconds)


def parse_overlap(value: Any) -> str:
    """Parse the name of an overlap policy, by default `skip`."""
    name = value or "skip"
    if name not in OVERLAPS:
        hint = did_you_mean(name, OVERLAPS) or f"known policies: {', '.join(OVERLAPS)}"
        raise OperationRefused(describe_unknown("overlap policy", name), hint=hint)
    return str(name)


def parse_time_zone(value: Any) -> ZoneInfo:
    """Parse the name of a time zone, by default UTC."""
    name = value or "UTC"
    if not isinstance(name, str):
        message = f"a time zone must be a name, not {describe_type(name)}"
        raise CronError(message, hint="use an IANA name such as Europe/Vienna")
    return load_zone(name)


def parse_time(value: Any, name: str, where: ZoneInfo) -> datetime | None:
    """Parse an ISO 8601 time; without an offset it is in that time zone."""
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=where)).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError):
        message = f"{name}: {describe_value(value)} is not an ISO 8601 time"
        raise OperationRefused(message, hint="for example 2026-03-01T08:00Z") from None


def parse_bounds(trigger: Trigger) -> tuple[datetime | None, datetime | None]:
    """Return `start_at` and `end_at` in UTC; without an offset they are in the time zone of the schedule."""
    where, config = read_zone(trigger), trigger.config
    start_at, end_at = (parse_time(config.get(name), name, where) for name in ("start_at", "end_at"))
    return start_at, end_at


def read_zone(trigger: Trigger) -> ZoneInfo:
    """Return the time zone of a trigger."""
    return parse_time_zone(trigger.config.get("timezone"))


def list_fire_times(trigger: Trigger, after: datetime, count: int) -> list[datetime]:
    """Return the next fire times of a schedule after `after`, in UTC, without the jitter that Temporal adds.

    The list ends with the year 2100.
    """
    start_at, end_at = parse_bounds(trigger)
    if start_at is not None and start_at > after:
        # `after` itself does not count as a fire time, but `start_at` does.
        after = start_at - INSTANT
    times = islice(_iterate_times(trigger, after), count)
    return [moment for moment in times if end_at is None or moment <= end_at]


def _iterate_times(trigger: Trigger, after: datetime) -> Iterator[datetime]:
    if trigger.cron:
        yield from iterate_fire_times(trigger.cron, after, read_zone(trigger).key)
        return
    every = parse_interval(trigger.interval_seconds)
    if after.year > LAST_YEAR:
        return
    # Temporal counts intervals from 1970, not from when the schedule was created.
    moment = EPOCH + every * ((max(after, EPOCH - INSTANT) - EPOCH) // every + 1)
    while moment.year <= LAST_YEAR:
        yield moment
        moment += every
