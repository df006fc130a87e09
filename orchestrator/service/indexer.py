"""Fill the index of runs from Temporal: what was started elsewhere, what has ended, however it ended.

One process at a time does it. A mark says how far it has come, so that a crash repeats and never skips.
"""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from orchestrator.client import Runs, RunSummary
from orchestrator.service.background import every
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.index import RunIndex
from orchestrator.store.leases import Leases
from orchestrator.telemetry import RUNS_ENDED

LEASE = "indexer"
EVERY_SECONDS = 1.0
LEASE_SECONDS = 10.0
OVERLAP = timedelta(seconds=5)
"""Temporal's visibility shows a run a little after it has started or ended: that much is read again."""
WIDE_OVERLAP = timedelta(minutes=10)
WIDE_EVERY = timedelta(minutes=1)
"""A server that is behind shows it later: from time to time more is read again."""
BATCH = 500


class Indexer:
    """Reads Temporal's visibility, and writes the index."""

    def __init__(self, runs: Runs, index: RunIndex, leases: Leases) -> None:
        self.runs = runs
        self.index = index
        self.leases = leases
        self._seen: dict[str, bool] = {}
        self._wide = datetime.now(UTC)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Fill the index until the block ends."""
        async with every(EVERY_SECONDS, "index of runs", self.round):
            yield
        with contextlib.suppress(StoreUnavailable):
            await self.leases.drop(LEASE)

    async def round(self) -> None:
        """Catch up, where no other process does."""
        if await self.leases.take(LEASE, LEASE_SECONDS):
            await self.catch_up()

    async def catch_up(self) -> int:
        """Read what has changed since the mark; give how many runs were written."""
        mark = await self.leases.mark(LEASE)
        now = datetime.now(UTC)
        wide = now - self._wide >= WIDE_EVERY
        overlap = WIDE_OVERLAP if wide else OVERLAP
        written = 0
        batch: list[RunSummary] = []
        async for run in self.runs.changed(None if mark is None else mark - overlap):
            if self._seen.get(run.id) == (run.completed_at is not None):
                continue
            batch.append(run)
            if len(batch) == BATCH:
                written += await self._write(batch)
        written += await self._write(batch)
        await self.leases.set_mark(LEASE, now)
        if wide:
            self._wide = now
        return written

    async def _write(self, batch: list[RunSummary]) -> int:
        await self.index.put(batch)
        number = len(batch)
        for run in batch:
            if run.completed_at is not None:
                RUNS_ENDED.labels(run.status).inc()
        if len(self._seen) > 100 * BATCH:
            self._seen.clear()
        self._seen |= {run.id: run.completed_at is not None for run in batch}
        batch.clear()
        return number
