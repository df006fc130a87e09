"""Backfill a schedule over past times."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.client import ScheduleDescription

from orchestrator.errors import OperationRefused

MAX_BACKFILL = 1_000
"""Starts that one backfill may make: Temporal keeps no more waiting."""


BATCH_GAP = timedelta(seconds=5)
"""A backfill makes its starts some at a time, less than this apart."""


def match_started_times(times: list[datetime], started: Iterable[datetime], jitter: timedelta) -> set[datetime]:
    """Give those of the times for which a run has started.

    A run is known by the time as it was written, which Temporal moves later by the jitter, but not past the next one.
    """
    ran = set()
    for time in started:
        at = bisect_left(times, time)
        if at < len(times) and times[at] - time <= jitter:
            ran.add(times[at])
    return ran


def require_no_pending_starts(found: ScheduleDescription) -> None:
    """Raise OperationRefused while a schedule has starts to make up for."""
    now = datetime.now(UTC)
    waiting = found.raw_description.info.buffer_size
    late = [each for each in found.info.recent_actions if each.started_at - each.scheduled_at > BATCH_GAP]
    if waiting or any(now - each.started_at < BATCH_GAP for each in late):
        raise OperationRefused(
            f"starts of before are still being made up for: {waiting or 'some'} wait for their turn",
            hint="each time starts once: ask again when they have started; pause a workflow whose own times queue",
        )
