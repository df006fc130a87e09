"""Remove the stored payloads of runs that nothing knows any more: Temporal has forgotten them, and so has the archive.

One process at a time does this, under a lease. A called run is kept as long as the run that called it: the history of
that one may refer to what the called run returned.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from orchestrator.service.background import run_every_with_lease
from orchestrator.store.archive import Archive
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.temporal.client.connection import read_namespace_id
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.payload_store.driver import get_driver
from orchestrator.temporal.payload_store.objects import MARKS, Objects, build_mark, decode_name, encode_name

logger = logging.getLogger(__name__)
LEASE = "payloads"
EVERY_SECONDS = 3600.0
LEASE_SECONDS = 60.0
MIN_AGE = timedelta(days=1)
"""Younger objects are kept: the run that they are for may be about to start."""
BATCH = 200
PAUSE_SECONDS = 0.02
"""Between two questions to Temporal."""
MAX_CALLERS = 100
"""Depth to which the callers of a run are followed."""


class PayloadSweeper:
    """Removes payloads that no run owns."""

    def __init__(self, runs: Runs, index: RunIndex, archive: Archive, leases: Leases) -> None:
        driver = get_driver(runs.client.data_converter)
        self.runs = runs
        self.objects: Objects | None = None if driver is None else driver.objects
        self.index = index
        self.archive = archive
        self.leases = leases

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Sweep for the duration of the context, where there is a payload store."""
        if self.objects is None:
            yield
            return
        async with run_every_with_lease(EVERY_SECONDS, "sweep of payloads", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Sweep, unless another process holds the lease."""
        await self.leases.run_while_held(LEASE, LEASE_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Remove the objects of all runs that are gone."""
        if (objects := self.objects) is None:
            return
        namespace = encode_name(self.runs.client.namespace)
        if not await self._is_ours(objects, namespace):
            logger.error("two Temporal servers share a payload store: nothing is removed until each has its own")
            return
        names = await asyncio.to_thread(lambda: [each for each in objects.list_owners(namespace) if each != MARKS])
        for begin in range(0, len(names), BATCH):
            await self._sweep_batch(objects, namespace, names[begin : begin + BATCH])

    async def _is_ours(self, objects: Objects, namespace: str) -> bool:
        """Mark the store with the namespace's own ID; return whether no other namespace of this name has done so."""
        identity = (await read_namespace_id(self.runs.client)).encode()
        mark = build_mark(namespace, identity)
        found = {each.key for each in await asyncio.to_thread(objects.list_of, namespace, MARKS)}
        if mark not in found:
            await asyncio.to_thread(objects.write, mark, identity)
        return found <= {mark}

    async def _sweep_batch(self, objects: Objects, namespace: str, names: Sequence[str]) -> None:
        owners = {decode_name(name): name for name in names}
        archived = await self.archive.find_archived(list(owners))
        for owner, name in owners.items():
            if owner in archived or await self._is_known(owner):
                continue
            found = await asyncio.to_thread(objects.list_of, namespace, name)
            if all(each.modified_at < datetime.now(UTC) - MIN_AGE for each in found):
                await asyncio.to_thread(objects.remove, [each.key for each in found])
                logger.info("removed %d stored payloads of run %s, which is gone", len(found), owner)

    async def _is_known(self, run_id: str) -> bool:
        """Return whether Temporal knows a run or one of its callers, or the archive has one of these."""
        current: str | None = run_id
        for _ in range(MAX_CALLERS):
            if current is None:
                return False
            await asyncio.sleep(PAUSE_SECONDS)
            if await self.runs.visibility.has_workflow(current) or await self.archive.find_archived([current]):
                return True
            summary = await self.index.get(None, current)
            current = None if summary is None else summary.parent_run_id
        return True
