"""Fire times and backfills of active workflows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

BACKFILL_SECONDS = 60.0
"""Nobody asks for a backfill for longer, unless its process has ended."""


SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Times:
    """When a workflow starts by time."""

    installed: bool
    paused: bool
    times: tuple[datetime, ...]
