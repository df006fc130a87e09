"""When a schedule fires, in Temporal's words: calendars, intervals, bounds. Pure."""

from typing import Any

from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from orchestrator.model.definition import Trigger
from orchestrator.timing import schedule
from orchestrator.timing.cron import expanded
from orchestrator.timing.schedule import bounds, zone_of

DEFAULT_CATCHUP_SECONDS = 3600
"""How late a start may be made up for; Temporal's own is a year."""
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
    jitter = config.get("jitter_seconds")
    spec = ScheduleSpec(
        start_at=start_at,
        end_at=end_at,
        jitter=schedule.span(jitter, "jitter_seconds") if jitter else None,
        time_zone_name=zone_of(trigger).key,
    )
    if trigger.cron:
        spec.calendars = calendars(trigger.cron)
    else:
        spec.intervals = [ScheduleIntervalSpec(every=schedule.every(trigger.interval_seconds))]
    return spec


def policy(trigger: Trigger) -> SchedulePolicy:
    """Say what happens when starts overlap or come late; raises OperationRefused."""
    catchup = trigger.config.get("catchup_window_seconds")
    given = DEFAULT_CATCHUP_SECONDS if catchup is None else catchup
    return SchedulePolicy(
        overlap=overlap_policy(trigger.config.get("overlap")),
        catchup_window=schedule.span(given, "catchup_window_seconds"),
    )


def overlap_policy(name: Any) -> ScheduleOverlapPolicy:
    """Find an overlap policy by its name; raises OperationRefused."""
    return OVERLAPS[schedule.overlap(name)]
