"""Copy runs from Temporal's visibility to the run index: those started elsewhere, and those that have ended.

One process at a time does this, under a lease. A mark records how far it has got, so that a crash repeats runs but
never skips any.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import RunNotFound
from orchestrator.model.run import RunSummary
from orchestrator.service.background import run_every_with_lease
from orchestrator.service.run_prober import RunProber
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.telemetry.metrics import RUN_SECONDS, RUNS_ENDED
from orchestrator.telemetry.workflow_labels import WORKFLOWS
from orchestrator.temporal.client.runs import Runs

LEASE = "indexer"
EVERY_SECONDS = 1.0
LEASE_SECONDS = 10.0
OVERLAP = timedelta(seconds=5)
"""Visibility lags behind: this much before the mark is read again."""
WIDE_OVERLAP = timedelta(minutes=10)
WIDE_EVERY = timedelta(minutes=1)
"""A server under load lags further behind: from time to time more is read again."""
SWEEP_EVERY = timedelta(hours=1)
"""How often the index is searched for open runs that Temporal no longer knows."""
SWEEP_OLDER = timedelta(minutes=10)
BATCH = 500
MAX_SEEN = 100 * BATCH


class Indexer:
    """Reads Temporal's visibility and writes the run index."""

    def __init__(self, runs: Runs, index: RunIndex, leases: Leases, prober: RunProber) -> None:
        self.runs = runs
        self.prober = prober
        self.index = index
        self.leases = leases
        self._seen: dict[str, bool] = {}
        self._moved: dict[str, datetime] = {}
        """When what a run or a branch waits for has last changed, as far as it is recorded."""
        self._wide = datetime.now(UTC)
        self._swept: datetime | None = None

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Fill the index for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "index of runs", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Catch up, unless another process holds the lease."""
        await self.leases.run_while_held(LEASE, LEASE_SECONDS, self._work)

    async def _work(self) -> None:
        await self.catch_up()
        now = datetime.now(UTC)
        if self._swept is None or now - self._swept >= SWEEP_EVERY:
            await self.sweep(now - SWEEP_OLDER)
            self._swept = now

    async def catch_up(self) -> int:
        """Copy what has changed since the mark; return the number of runs."""
        mark = await self.leases.get_mark(LEASE)
        now = datetime.now(UTC)
        wide = now - self._wide >= WIDE_EVERY
        overlap = WIDE_OVERLAP if wide else OVERLAP
        written, newest = 0, mark
        batch: list[RunSummary] = []
        async for run in self.runs.visibility.list_changed(None if mark is None else mark - overlap, self._seen):
            # The mark is in the time of Temporal's clock; the local one may differ.
            seen = run.completed_at or run.started_at
            newest = seen if newest is None else max(newest, seen)
            batch.append(run)
            if len(batch) == BATCH:
                written += await self._write(batch)
        written += await self._write(batch)
        if mark is not None:
            newest = await self._follow_waits(mark - overlap, mark if newest is None else newest)
        if newest is not None:
            await self.leases.set_mark(LEASE, newest)
        if wide:
            self._wide = now
        return written

    async def _follow_waits(self, since: datetime, newest: datetime) -> datetime:
        """Record what open runs wait for since it has changed; return the time of the newest change."""
        moved: dict[str, dict[str, datetime]] = {}
        async for name, changed_at in self.runs.visibility.list_moved(since):
            if self._moved.get(name) == changed_at:
                continue
            newest = max(newest, changed_at)
            moved.setdefault(name.partition("/")[0], {})[name] = changed_at
        for run_id, changes in moved.items():
            await self.prober.probe_run(run_id)
            self._moved |= changes  # only now: where the probe fails, the next look finds the change again
        if len(self._moved) > MAX_SEEN:
            self._moved.clear()
        return newest

    async def sweep(self, before: datetime) -> int:
        """Record the end of runs that Temporal no longer knows; return their number."""
        running = {run_id async for run_id in self.runs.visibility.list_running()}
        lost = 0
        position: tuple[Any, ...] = ()
        while open_runs := await self.index.list_open(before, position, BATCH):
            position = (open_runs[-1].started_at, open_runs[-1].id)
            missing = [run for run in open_runs if run.id not in running]
            for run in missing:
                try:
                    await self.index.put([await self.runs.visibility.read_summary(run.id)])
                except RunNotFound:
                    await self.index.mark_lost([run.id])
                    lost += 1
        return lost

    async def _write(self, batch: list[RunSummary]) -> int:
        await self.index.put(batch)
        number = len(batch)
        for run in batch:
            if run.completed_at is not None:
                workflow = WORKFLOWS.pick(run.workflow_id)
                RUNS_ENDED.labels(workflow, run.status).inc()
                RUN_SECONDS.labels(workflow).observe((run.duration_ms or 0) / 1000)
        if len(self._seen) > MAX_SEEN:
            self._seen.clear()
        self._seen |= {run.id: run.completed_at is not None for run in batch}
        batch.clear()
        return number
