"""Archive the documents of ended runs in the database, within a minute of their ends.

One process at a time does this, under a lease, and takes its turn with those who read runs: a backlog grows where it
cannot keep up (`orchestrator_archive_pending`), and nothing waits for it.
"""

import asyncio
import json
import logging
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from orchestrator.errors import RunNotFound, ServerUnavailable
from orchestrator.model.run import ENDED, Run
from orchestrator.service.background import run_every_with_lease
from orchestrator.store.archive import Archive, ArchivedRun, PendingRun
from orchestrator.store.leases import Leases
from orchestrator.telemetry.metrics import ARCHIVE_OLDEST_SECONDS, ARCHIVE_PENDING
from orchestrator.temporal.client.run_reader import RunReader

logger = logging.getLogger(__name__)
LEASE = "archive"
EVERY_SECONDS = 1.0
LEASE_SECONDS = 20.0
BATCH = 20
READS_AT_ONCE = 4
RETRY_AFTER = timedelta(minutes=1)
"""When a run whose history could not be read in time is tried again."""
MAX_ATTEMPTS = 5


class Archiver:
    """Reads ended runs and stores their documents."""

    def __init__(self, reader: RunReader, archive: Archive, leases: Leases, retention_days: float | None) -> None:
        self.reader = reader
        self.archive = archive
        self.leases = leases
        self.retention_days = retention_days
        self._failed: dict[str, tuple[int, datetime]] = {}
        """Number of attempts at a run that could not be read, and when the next one is due."""

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Archive for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "archive of runs", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Archive what is pending, unless another process holds the lease."""
        if not await self.leases.run_while_held(LEASE, LEASE_SECONDS, self.catch_up):
            ARCHIVE_PENDING.set(0)  # the other process counts them
            ARCHIVE_OLDEST_SECONDS.set(0)

    async def catch_up(self) -> None:
        """Archive until nothing is pending that could be read now."""
        while True:
            await self._count()
            now = datetime.now(UTC)
            skipped = [run_id for run_id, (_, due) in self._failed.items() if due > now]
            pending = await self.archive.list_pending(BATCH, skipped)
            if not pending:
                return
            await self._archive(pending)

    async def prune(self) -> None:
        """Delete documents whose time is over."""
        if self.retention_days is not None:
            await self.archive.prune(datetime.now(UTC) - timedelta(days=self.retention_days))

    async def _count(self) -> None:
        backlog = await self.archive.read_backlog()
        ARCHIVE_PENDING.set(backlog.runs)
        oldest = backlog.oldest
        ARCHIVE_OLDEST_SECONDS.set(0 if oldest is None else max((datetime.now(UTC) - oldest).total_seconds(), 0))

    async def _archive(self, pending: Sequence[PendingRun]) -> None:
        room = asyncio.Semaphore(READS_AT_ONCE)

        async def read(run: PendingRun) -> ArchivedRun | None:
            async with room:
                return await self._read(run)

        documents = await asyncio.gather(*(read(run) for run in pending))
        stored = [document for document in documents if document is not None]
        lost = [
            run.run_id
            for run, document in zip(pending, documents, strict=True)
            if document is None and run.run_id not in self._failed
        ]
        if stored:
            await self.archive.put(stored)
        if lost:
            await self.archive.mark_lost(lost)

    async def _read(self, pending: PendingRun) -> ArchivedRun | None:
        """Return what is to be stored; `None` where there is nothing, or where it is tried again later."""
        try:
            run = await self.reader.read_ended(pending.run_id)
            if run.status not in ENDED:  # the index says that it has ended; what it was reset to has not
                self._postpone(pending.run_id, run.status)
                return None
            document = await asyncio.to_thread(compress_document, run)
        except RunNotFound:
            self._failed.pop(pending.run_id, None)
            return None
        except ServerUnavailable as error:
            self._postpone(pending.run_id, error)
            return None
        except Exception as error:  # the boundary of one run, which must not keep the others from the archive
            logger.exception("run %s cannot be archived now", pending.run_id)
            self._postpone(pending.run_id, error)
            return None
        self._failed.pop(pending.run_id, None)
        return ArchivedRun(pending.run_id, pending.customer_id, pending.ended_at, document, run.usage)

    def _postpone(self, run_id: str, why: object) -> None:
        attempts = self._failed.get(run_id, (0, None))[0] + 1
        if attempts >= MAX_ATTEMPTS:
            logger.warning("run %s is not archived: %s", run_id, why)
        self._failed[run_id] = (attempts, datetime.now(UTC) + RETRY_AFTER * attempts)


def compress_document(run: Run) -> bytes:
    """Return a document as it is archived; what others add to it when it is shown is left out."""
    return zlib.compress(run.model_copy(update={"links": {}, "reruns": []}).model_dump_json().encode())


def decompress_document(document: bytes) -> Run:
    """Return what `compress_document` was given; raises ValueError or zlib.error."""
    text = zlib.decompress(document)
    try:
        return Run.model_validate_json(text)
    except ValidationError:
        # Pydantic's parser takes half of the time, and stops at a depth that values reach.
        return Run.model_validate(json.loads(text))
