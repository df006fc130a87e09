"""Find in the index which open runs are pending, retrying or waiting for a called workflow.

Temporal cannot list these: runs that have not moved are described, one after another, at a bounded pace. One process at
a time does this, under a lease.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from orchestrator.errors import RunNotFound
from orchestrator.model.run import RunSummary
from orchestrator.service.background import run_every_with_lease
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.open_runs import describe_open_run
from orchestrator.temporal.client.runs import Runs

LEASE = "run prober"
EVERY_SECONDS = 2.0
LEASE_SECONDS = 30.0
STILL = timedelta(seconds=5)
"""A run that has moved since is not described: nearly all runs end before."""
MAX_PROBED = 60
"""Runs that are described in one go, which is 30 a second: 900 are seen again every 30 s."""
AT_ONCE = 10


class RunProber:
    """Describes open runs and records in the index what they are doing."""

    def __init__(self, runs: Runs, index: RunIndex, leases: Leases) -> None:
        self.client = runs.client
        self.index = index
        self.leases = leases
        self.still = STILL

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Probe for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "run prober", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Probe the runs that have been still for longest, unless another process holds the lease."""
        await self.leases.run_while_held(LEASE, LEASE_SECONDS, self._work)

    async def _work(self) -> None:
        await self.probe()

    async def probe(self) -> int:
        """Describe the runs that have been still for longest; return their number."""
        still = await self.index.list_still(datetime.now(UTC) - self.still, MAX_PROBED)
        for at in range(0, len(still), AT_ONCE):
            batch = await asyncio.gather(*map(self._describe, still[at : at + AT_ONCE]))
            await self.index.put(run for run in batch if run is not None)
        return len(still)

    async def probe_run(self, run_id: str) -> None:
        """Record what a run is doing now; one that is not in the index yet is recorded with its start."""
        run = await self.index.get(None, run_id)
        found = None if run is None or run.completed_at is not None else await self._describe(run)
        if found is not None:
            await self.index.put([found])

    async def _describe(self, run: RunSummary) -> RunSummary | None:
        as_of = datetime.now(UTC)
        try:
            async with translate_rpc_errors(run.id):
                found = await describe_open_run(self.client, run.id)
        except RunNotFound:
            found = None
        if found is None:  # it has ended, which the indexer records: only not to be asked about it at once again
            return run.model_copy(update={"as_of": as_of})
        return run.model_copy(update={**found.to_fields(), "as_of": as_of})
