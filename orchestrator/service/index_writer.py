"""Write runs into the index beside the work: a start does not wait for it, and what a crash loses is found again."""

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
"""Runs noted but not yet written; more are left to the indexer, which reads Temporal."""
TOGETHER_SECONDS = 1.0
"""Runs that start so close together are written at once: every write waits for the disk, and starts would with it."""


class IndexWriter:
    """A list of runs to write down, and the task that does."""

    def __init__(self, index: RunIndex) -> None:
        self.index = index
        self.waiting: list[RunSummary] = []
        self.wakeup = asyncio.Event()

    def add_start(self, plan: Plan, info: RunInfo) -> None:
        """Add a run that has just been started."""
        if len(self.waiting) >= MAX_WAITING:
            return
        self.waiting.append(summarize_run(plan, info, status="running", started_at=datetime.now(UTC)))
        self.wakeup.set()

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Write until the block ends, then what is left."""
        try:
            async with run_in_background(self._write(), "index writer"):
                yield
        finally:
            await self._flush()

    async def _write(self) -> None:
        while True:
            await self.wakeup.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            self.wakeup.clear()
            await self._flush()

    async def _flush(self) -> None:
        batch, self.waiting = self.waiting, []
        try:
            await self.index.put(batch)
        except StoreUnavailable as error:
            logger.warning("%d runs are left to the indexer: %s", len(batch), error)
        except Exception:
            logger.exception("%d runs are left to the indexer", len(batch))
