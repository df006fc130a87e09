"""When a schedule fires, in Temporal's words: calendars, intervals, bounds. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from orchestrator.cron import expanded, fires, zone
from orchestrator.definition import Trigger
from orchestrator.errors import OperationRefused

DEFAULT_CATCHUP_SECONDS = 3600
"""How late a start may be made up for; Temporal's own is a year."""
MAX_SECONDS = 100 * 365 * 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAPS = {policy.name.lower(): policy for policy in ScheduleOverlapPolicy}


def calendars(expression: str) -> list[ScheduleCalendarSpec]:
    """Translate a cron expression; raises CronError.

    Temporal reads cron strings in a dialect of its own, so it never sees one.
    """
    return [
        ScheduleCalendarSpec(
            minute=ranges(fields.minutes),
            hour=ranges(fields.hours),
            day_of_month=ranges(fields.days),
            month=ranges(fields.months),
            day_of_week=ranges(fields.weekdays),
        )
        for fields in expanded(expression)
    ]


def ranges(values: tuple[int, ...]) -> list[ScheduleRange]:
    """Write ascending numbers as ranges."""
    found: list[ScheduleRange] = []
    for value in values:
        if found and found[-1].end == value - 1:
            found[-1] = ScheduleRange(found[-1].start, value)
        else:
            found.append(ScheduleRange(value, value))
    return found


def specification(trigger: Trigger) -> ScheduleSpec:
    """Say when a trigger of type `schedule` fires; raises CronError and OperationRefused."""
    config = trigger.config
    start_at, end_at = bounds(trigger)
    spec = ScheduleSpec(
        start_at=start_at,
        end_at=end_at,
        jitter=span(config["jitter_seconds"], "jitter_seconds") if config.get("jitter_seconds") else None,
        time_zone_name=_zone(trigger).key,
    )
    if trigger.cron:
        spec.calendars = calendars(trigger.cron)
    else:
        spec.intervals = [ScheduleIntervalSpec(every=interval(trigger))]
    return spec


def policy(trigger: Trigger) -> SchedulePolicy:
    """Say what happens when starts overlap or come late."""
    catchup = trigger.config.get("catchup_window_seconds")
    return SchedulePolicy(
        overlap=overlap_policy(trigger.config.get("overlap") or "skip"),
        catchup_window=span(DEFAULT_CATCHUP_SECONDS if catchup is None else catchup, "catchup_window_seconds"),
    )


def overlap_policy(name: str) -> ScheduleOverlapPolicy:
    """Find an overlap policy by its name; raises OperationRefused."""
    if name not in OVERLAPS:
        raise OperationRefused(f"there is no overlap policy {name!r}", hint=f"one of {', '.join(OVERLAPS)}")
    return OVERLAPS[name]


def interval(trigger: Trigger) -> timedelta:
    """Give the time between two starts; raises OperationRefused."""
    seconds = trigger.interval_seconds or 0
    if seconds < 1 or seconds % 1:
        raise OperationRefused(f"interval_seconds is a whole number, 1 or more, not {seconds:g}")
    return span(seconds, "interval_seconds")


def span(seconds: Any, name: str) -> timedelta:
    """Make a time span of seconds; raises OperationRefused."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise OperationRefused(f"{name} is a number from 0 to {MAX_SECONDS:,} (a hundred years), not {seconds!r:.60}")
    return timedelta(seconds=seconds)


def bounds(trigger: Trigger) -> tuple[datetime | None, datetime | None]:
    """Give `start_at` and `end_at` in UTC; what names no offset is in the schedule's time zone."""
    where = _zone(trigger)
    return _moment(trigger, "start_at", where), _moment(trigger, "end_at", where)


def _moment(trigger: Trigger, name: str, where: ZoneInfo) -> datetime | None:
    text = trigger.config.get(name)
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=where)).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError):
        raise OperationRefused(f"{name}: {text!r:.60} is not an ISO 8601 time") from None


def _zone(trigger: Trigger) -> ZoneInfo:
    return zone(trigger.config.get("timezone") or "UTC")


def fire_times(trigger: Trigger, after: datetime, count: int) -> list[datetime]:
    """Give the next times a schedule fires after `after`, in UTC, as Temporal will keep them but for the jitter."""
    start_at, end_at = bounds(trigger)
    if start_at is not None and start_at > after:
        after = start_at - timedelta(microseconds=1)
    times = islice(_times(trigger, after), count)
    return [moment for moment in times if end_at is None or moment <= end_at]


def _times(trigger: Trigger, after: datetime) -> Iterator[datetime]:
    if trigger.cron:
        yield from fires(trigger.cron, after, _zone(trigger).key)
        return
    every = interval(trigger)
    moment = EPOCH + every * ((after - EPOCH) // every + 1)
    while True:
        yield moment
        moment += every
