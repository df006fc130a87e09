"""Write started runs to the index in the background; the indexer finds those that a crash loses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo, RunSummary, summarize_run
from orchestrator.service.background import run_in_background
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.run_index import RunIndex

logger = logging.getLogger(__name__)
MAX_WAITING = 10_000
"""Maximum number of runs that wait to be written; the rest is left to the indexer."""
BATCH_SECONDS = 1.0
"""Runs that start within this time are written in one transaction: every transaction waits for the disk."""
FLUSH_SECONDS = 2.0
"""Maximum time for which a list waits for runs to be written."""


class IndexWriter:
    """A queue of runs, and the task that writes them."""

    def __init__(self, index: RunIndex) -> None:
        self.index = index
        self.waiting: list[RunSummary] = []
        self.wakeup = asyncio.Event()
        self._lock = asyncio.Lock()
        """Held during a write, for which the next one waits."""
        self._flushes: set[asyncio.Task[None]] = set()

    def add_start(self, plan: Plan, info: RunInfo) -> None:
        """Add a run that has just been started."""
        if len(self.waiting) >= MAX_WAITING:
            return
        now = datetime.now(UTC)
        run = summarize_run(plan, info, status="running", started_at=now)
        self.waiting.append(run.model_copy(update={"as_of": now}))
        self.wakeup.set()

    async def flush(self) -> None:
        """Write what waits, so that a list has the runs started before; a write that takes too long continues."""
        if not self.waiting and not self._lock.locked():
            return
        # A task of its own: a client that disconnects must not cancel the write.
        task = asyncio.create_task(self._flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)
        await asyncio.wait({task}, timeout=FLUSH_SECONDS)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Write for the duration of the context, and at its end what is left."""
        try:
            async with run_in_background(self._write(), "index writer"):
                yield
        finally:
            await self._flush()

    async def _write(self) -> None:
        while True:
            await self.wakeup.wait()
            await asyncio.sleep(BATCH_SECONDS)
            self.wakeup.clear()
            await self._flush()

    async def _flush(self) -> None:
        async with self._lock:
            batch, self.waiting = self.waiting, []
            try:
                await self.index.put(batch)
            except StoreUnavailable as error:
                logger.warning("%d runs were not written and are left to the indexer: %s", len(batch), error)
            except Exception:
                logger.exception("%d runs were not written and are left to the indexer", len(batch))
