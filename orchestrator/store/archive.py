"""The archive of run documents: an ended run is answered from here, whatever Temporal still stores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from orchestrator.model.usage import Usage
from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.tables import archive, runs
from orchestrator.store.usage import write_usages

PENDING = (runs.c.archived.is_(None), runs.c.completed_at.is_not(None))
MAX_COUNTED = 10_000
PRUNED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """The document of an ended run."""

    run_id: str
    customer_id: str
    ended_at: datetime
    document: bytes
    """Compressed."""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class PendingRun:
    """An ended run that is not in the archive yet."""

    run_id: str
    customer_id: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the archive is behind."""

    runs: int
    """At most `MAX_COUNTED`."""
    oldest: datetime | None
    """When the first of them ended."""


class Archive:
    """The documents of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def list_pending(self, limit: int, skipped: Collection[str] = ()) -> list[PendingRun]:
        """List ended runs that are not in the archive, the oldest first."""
        query = select(runs.c.id, runs.c.customer_id, runs.c.completed_at).where(*PENDING)
        query = query.where(runs.c.id.not_in(skipped)).order_by(runs.c.completed_at).limit(limit)
        async with self.database.read_transaction() as connection:
            return [PendingRun(*row) for row in await connection.execute(query)]

    async def read_backlog(self) -> Backlog:
        """Return the number of runs that are to be archived, and the end of the oldest one."""
        pending = (
            select(runs.c.completed_at).where(*PENDING).order_by(runs.c.completed_at).limit(MAX_COUNTED).subquery()
        )
        query = select(func.count(), func.min(pending.c.completed_at))
        async with self.database.read_transaction() as connection:
            count, oldest = (await connection.execute(query)).one()
        return Backlog(count, oldest)

    @retry_conflicts
    async def put(self, documents: Sequence[ArchivedRun]) -> None:
        """Add documents; one that is there already stays, because an ended run never changes."""
        ids = [document.run_id for document in documents]
        async with self.database.write_transaction() as connection:
            known = set((await connection.scalars(select(archive.c.run_id).where(archive.c.run_id.in_(ids)))).all())
            rows: list[dict[str, Any]] = [
                {
                    "run_id": document.run_id,
                    "customer_id": document.customer_id,
                    "ended_at": document.ended_at,
                    "document": document.document,
                }
                for document in documents
                if document.run_id not in known
            ]
            if rows:
                await connection.execute(insert(archive), rows)
            await connection.execute(update(runs).where(runs.c.id.in_(ids)).values(archived=True))
            await write_usages(connection, {each.run_id: each.usage for each in documents if each.usage is not None})

    @retry_conflicts
    async def mark_lost(self, run_ids: Sequence[str]) -> None:
        """Record that there is nothing to archive of runs: Temporal no longer stores them."""
        async with self.database.write_transaction() as connection:
            await connection.execute(update(runs).where(runs.c.id.in_(run_ids)).values(archived=False))

    async def get(self, customer_id: str | None, run_id: str) -> bytes | None:
        """Return the document of a run, compressed; `None` where the customer has none. `None` means all customers."""
        query = select(archive.c.document).where(archive.c.run_id == run_id)
        if customer_id is not None:
            query = query.where(archive.c.customer_id == customer_id)
        async with self.database.read_transaction() as connection:
            document: bytes | None = await connection.scalar(query)
        return document

    async def find_archived(self, run_ids: Collection[str]) -> set[str]:
        """Return which of these runs are in the archive."""
        query = select(archive.c.run_id).where(archive.c.run_id.in_(run_ids))
        async with self.database.read_transaction() as connection:
            return set(await connection.scalars(query))

    async def list_latest(
        self, customer_id: str, workflow_id: str, version: int, limit: int, max_bytes: int
    ) -> list[str]:
        """List the last runs of a version that ended by themselves and are archived, as many as fit a size together."""
        query = (
            select(runs.c.id, func.length(archive.c.document))
            .join(archive, archive.c.run_id == runs.c.id)
            .where(runs.c.customer_id == customer_id, runs.c.workflow_id == workflow_id)
            .where(runs.c.workflow_version == version, runs.c.status.in_(("completed", "failed")))
            .order_by(runs.c.started_at.desc())
            .limit(limit)
        )
        ids: list[str] = []
        async with self.database.read_transaction() as connection:
            for run_id, size in await connection.execute(query):
                max_bytes -= size
                if max_bytes < 0 and ids:
                    break
                ids.append(run_id)
        return ids

    @retry_conflicts
    async def prune(self, before: datetime) -> int:
        """Delete documents of runs that ended before a time; return their number."""
        old = select(archive.c.run_id).where(archive.c.ended_at < before).limit(PRUNED_AT_ONCE).scalar_subquery()
        deleted = 0
        while True:
            async with self.database.write_transaction() as connection:
                count = (await connection.execute(delete(archive).where(archive.c.run_id.in_(old)))).rowcount
            deleted += count
            if count < PRUNED_AT_ONCE:
                return deleted
