"""What a trigger of type `schedule` may say: the planner checks by these, and schedules are made by them. Pure.

Each reading raises OperationRefused, or CronError where a time zone is not known.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.errors import OperationRefused
from orchestrator.timing.cron import CronError, zone

OVERLAPS = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
MAX_SECONDS = 100 * 365 * 86_400


def every(seconds: float | None) -> timedelta:
    """Read the time between two starts."""
    given = seconds or 0
    if given < 1 or given % 1:
        raise OperationRefused(f"interval_seconds is a whole number, 1 or more, not {given:g}")
    return span(given, "interval_seconds")


def span(seconds: Any, name: str) -> timedelta:
    """Read a number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise OperationRefused(f"{name} is a number from 0 to {MAX_SECONDS:,} (a hundred years), not {seconds!r:.60}")
    return timedelta(seconds=seconds)


def overlap(given: Any) -> str:
    """Read the name of an overlap policy; `skip` unless one is given."""
    name = given or "skip"
    if name not in OVERLAPS:
        raise OperationRefused(f"there is no overlap policy {name!r:.60}", hint=f"one of {', '.join(OVERLAPS)}")
    return str(name)


def time_zone(given: Any) -> ZoneInfo:
    """Read the name of a time zone; UTC unless one is given."""
    name = given or "UTC"
    if not isinstance(name, str):
        raise CronError(f"a time zone is named, not {name!r:.60}", hint="use an IANA name such as Europe/Vienna")
    return zone(name)


def moment(given: Any, name: str, where: ZoneInfo) -> datetime | None:
    """Read an ISO 8601 time; what names no offset is in that time zone."""
    if not given:
        return None
    try:
        read = datetime.fromisoformat(given)
        return (read if read.tzinfo else read.replace(tzinfo=where)).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError):
        raise OperationRefused(f"{name}: {given!r:.60} is not an ISO 8601 time") from None
