"""Translate a schedule trigger to Temporal's spec: calendars, intervals, bounds. No I/O here."""

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
from orchestrator.timing.cron import expand
from orchestrator.timing.schedule import parse_bounds, read_zone

DEFAULT_CATCHUP_SECONDS = 3600
"""How late a missed start is still made; Temporal's default is a year."""
OVERLAPS = {policy.name.lower(): policy for policy in ScheduleOverlapPolicy}


def build_calendars(expression: str) -> list[ScheduleCalendarSpec]:
    """Translate a cron expression; raises CronError.

    Temporal has its own cron dialect, so it gets calendars and never a cron string.
    """
    return [
        ScheduleCalendarSpec(
            minute=build_ranges(fields.minutes),
            hour=build_ranges(fields.hours),
            day_of_month=build_ranges(fields.days),
            month=build_ranges(fields.months),
            day_of_week=build_ranges(fields.weekdays),
        )
        for fields in expand(expression)
    ]


def build_ranges(values: tuple[int, ...]) -> list[ScheduleRange]:
    """Merge ascending numbers into ranges."""
    merged: list[ScheduleRange] = []
    for value in values:
        if merged and merged[-1].end == value - 1:
            merged[-1] = ScheduleRange(merged[-1].start, value)
        else:
            merged.append(ScheduleRange(value, value))
    return merged


def build_spec(trigger: Trigger) -> ScheduleSpec:
    """Build the spec of a trigger of type `schedule`; raises CronError and OperationRefused."""
    config = trigger.config
    start_at, end_at = parse_bounds(trigger)
    jitter = config.get("jitter_seconds")
    spec = ScheduleSpec(
        start_at=start_at,
        end_at=end_at,
        jitter=schedule.parse_seconds(jitter, "jitter_seconds") if jitter else None,
        time_zone_name=read_zone(trigger).key,
    )
    if trigger.cron:
        spec.calendars = build_calendars(trigger.cron)
    else:
        spec.intervals = [ScheduleIntervalSpec(every=schedule.parse_interval(trigger.interval_seconds))]
    return spec


def build_policy(trigger: Trigger) -> SchedulePolicy:
    """Build the policy for overlapping and late starts; raises OperationRefused."""
    catchup = trigger.config.get("catchup_window_seconds")
    seconds = DEFAULT_CATCHUP_SECONDS if catchup is None else catchup
    return SchedulePolicy(
        overlap=parse_overlap_policy(trigger.config.get("overlap")),
        catchup_window=schedule.parse_seconds(seconds, "catchup_window_seconds"),
    )


def parse_overlap_policy(name: Any) -> ScheduleOverlapPolicy:
    """Return the overlap policy of a name; raises OperationRefused."""
    return OVERLAPS[schedule.parse_overlap(name)]
