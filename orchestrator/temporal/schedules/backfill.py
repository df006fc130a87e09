"""Backfill a schedule: start its runs for past times, each time once.

Temporal does the starting, by its own overlap policy. It does not know which times have had a run, and a run that it
started for such a time would replace the old one in lists, so those times are left out of what it is asked for.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby

from temporalio.client import ScheduleActionStartWorkflow, ScheduleBackfill, ScheduleDescription

from orchestrator.errors import OperationRefused
from orchestrator.model.run import format_timestamp
from orchestrator.temporal.client.visibility import quote_literal
from orchestrator.temporal.schedules.schedules import Schedules
from orchestrator.temporal.schedules.spec import parse_overlap_policy
from orchestrator.temporal.search_attributes import CUSTOMER_ID, SCHEDULED_AT, WORKFLOW_ID

MAX_BACKFILL = 1_000
"""Maximum starts in one backfill: Temporal buffers at most this many."""
BATCH_GAP = timedelta(seconds=5)
"""Temporal makes the starts of a backfill in batches, less than this apart."""
MILLISECOND = timedelta(milliseconds=1)
"""The resolution of fire times."""


async def list_none(first: datetime, last: datetime) -> Iterable[datetime]:
    """Return no times."""
    return ()


class Backfill:
    """Backfills the schedules of a namespace."""

    def __init__(self, schedules: Schedules) -> None:
        self.schedules = schedules

    async def start(
        self,
        customer_id: str,
        workflow_id: str,
        start_at: datetime,
        end_at: datetime,
        overlap: str = "buffer_all",
        *,
        list_done: Callable[[datetime, datetime], Awaitable[Iterable[datetime]]] = list_none,
        is_time: Callable[[datetime], bool] = lambda _: True,
    ) -> int:
        """Start the missing runs for the times from `start_at` to `end_at`, both included; return their number.

        Future times are left out, and times that have had a run: those of `list_done`, for runs beyond Temporal's
        retention, and those that Temporal lists. `is_time` says whether a time is one of the schedule's, and not that
        of a manual start. Raises OperationRefused where there are more than 1,000 times, and while a previous
        backfill is running, because Temporal does not say for which times its starts are pending.
        """
        policy = parse_overlap_policy(overlap)
        after = start_at - MILLISECOND  # Temporal excludes the start of the range
        end_at = min(end_at, datetime.now(UTC))
        async with self.schedules.open_handle(customer_id, workflow_id) as handle:
            description = await handle.describe()
            require_no_pending_starts(description)
            times = await self._list_times(handle.id, after, end_at)
            done = await list_done(start_at, times[-1]) if times else ()
            started = {*done, *await self._list_started_times(customer_id, workflow_id, after, times)}
            jitter = description.schedule.spec.jitter or timedelta()
            had_run = match_started_times(times, filter(is_time, started), jitter)
            # One range for each stretch of missing times, from just after the time before it.
            stretches = [list(part) for missing, part in groupby(times, lambda time: time not in had_run) if missing]
            previous = dict(zip(times, [after, *times], strict=False))
            if stretches:
                ranges = [
                    ScheduleBackfill(previous[part[0]] + MILLISECOND, part[-1], overlap=policy) for part in stretches
                ]
                await handle.backfill(*ranges)
        return sum(map(len, stretches))

    async def _list_times(self, schedule_id: str, after: datetime, end_at: datetime) -> list[datetime]:
        """Return the fire times of the period; raises OperationRefused where there are too many."""
        times = await self.schedules.list_matching_times(schedule_id, after, end_at)
        is_cut = bool(times) and bool(await self.schedules.list_matching_times(schedule_id, times[-1], end_at))
        if len(times) > MAX_BACKFILL or is_cut:
            raise OperationRefused(
                f"there are more than {MAX_BACKFILL:,} times between {after + MILLISECOND} and {end_at}",
                hint="backfill a shorter period at a time",
            )
        return times

    async def find_run_prefix(self, customer_id: str, workflow_id: str) -> str:
        """Return the prefix of the run ids of a schedule, before the time; raises OperationRefused without one."""
        async with self.schedules.open_handle(customer_id, workflow_id) as handle:
            action = (await handle.describe()).schedule.action
        return f"{action.id}-" if isinstance(action, ScheduleActionStartWorkflow) else ""

    async def _list_started_times(
        self, customer_id: str, workflow_id: str, after: datetime, times: list[datetime]
    ) -> set[datetime]:
        """Return the scheduled times of the runs that Temporal lists, without jitter."""
        if not times:
            return set()
        parts = [
            f"{WORKFLOW_ID.name} = {quote_literal(workflow_id)}",
            f"{CUSTOMER_ID.name} = {quote_literal(customer_id)}",
            # SQLite compares times as text, so that one exactly at a bound may be missing.
            f"{SCHEDULED_AT.name} BETWEEN '{format_timestamp(after)}'"
            f" AND '{format_timestamp(times[-1] + MILLISECOND)}'",
        ]
        runs = self.schedules.client.list_workflows(" AND ".join(parts))
        return {run.typed_search_attributes[SCHEDULED_AT] async for run in runs}


def match_started_times(times: list[datetime], started: Iterable[datetime], jitter: timedelta) -> set[datetime]:
    """Return those of the ascending times that have had a run.

    Temporal records the time of the spec and lists fire times with jitter: later, but not past the next one.
    """
    matched = set()
    for time in started:
        at = bisect_left(times, time)
        if at < len(times) and times[at] - time <= jitter:
            matched.add(times[at])
    return matched


def require_no_pending_starts(description: ScheduleDescription) -> None:
    """Raise OperationRefused while starts of a previous backfill are pending."""
    now = datetime.now(UTC)
    pending = description.raw_description.info.buffer_size
    late = [action for action in description.info.recent_actions if action.started_at - action.scheduled_at > BATCH_GAP]
    if pending or any(now - action.started_at < BATCH_GAP for action in late):
        raise OperationRefused(
            f"a previous backfill is still running ({pending or 'some'} starts pending)",
            hint="try again when its runs have started; pause a workflow whose own starts pile up",
        )
