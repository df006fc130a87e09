"""The run index, from which lists and statistics are read; it outlives Temporal's retention.

Temporal is the source of truth. The indexer copies from there, so the index may be a second behind.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.model.run import RunSummary
from orchestrator.store.database import Database, ValueRefused
from orchestrator.store.tables import begins_with, runs, workflows

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
CHANGING = ("status", "started_at", "completed_at", "duration_ms", "cancelled_by", "cancel_reason")
"""Columns that an update overwrites; `started_at` is first recorded by the clock of a process, not of Temporal."""
MAX_RERUNS = 100
PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95}


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of runs of a workflow by status."""

    total: int = 0
    by_status: tuple[tuple[str, int], ...] = ()
    last_run_at: datetime | None = None

    def count(self, status: str) -> int:
        """Return the number of runs with a status."""
        return dict(self.by_status).get(status, 0)

    @property
    def success_rate(self) -> float:
        """Return the percentage of runs that completed, of those that completed or failed; 0 before the first."""
        decided = self.count("completed") + self.count("failed")
        return round(100 * self.count("completed") / decided, 2) if decided else 0.0


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Selects runs for a list; a field that is `None` selects all."""

    workflow_id: str | None = None
    status: str | None = None
    trigger_type: str | None = None
    since: datetime | None = None
    """Earliest start."""
    until: datetime | None = None
    """The start is before this."""
    id_prefix: str | None = None
    """What the ID begins with."""

    def build_conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the table of runs."""
        names = {"workflow_id": self.workflow_id, "status": self.status, "trigger_type": self.trigger_type}
        conditions = [runs.c[name] == value for name, value in names.items() if value is not None]
        if self.since is not None:
            conditions.append(runs.c.started_at >= self.since)
        if self.until is not None:
            conditions.append(runs.c.started_at < self.until)
        if self.id_prefix is not None:
            conditions.append(begins_with(runs.c.id, self.id_prefix))
        return conditions


ALL_RUNS = RunFilter()


class RunIndex:
    """The runs of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def put(self, summaries: Iterable[RunSummary]) -> None:
        """Insert or update runs; the end of a run is never overwritten.

        A run that the database cannot store is skipped, so that it does not block the others.
        """
        distinct = _deduplicate(summaries)
        for at in range(0, len(distinct), ROWS_AT_ONCE):
            batch = distinct[at : at + ROWS_AT_ONCE]
            try:
                await self._put(batch)
            except ValueRefused:
                for run in batch:
                    try:
                        await self._put([run])
                    except ValueRefused as error:
                        logger.warning("skipped run %r, which cannot be stored in the index: %s", run.id, error)

    async def _put(self, batch: Sequence[RunSummary]) -> None:
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            statement = make(runs)
            changed = {name: statement.excluded[name] for name in CHANGING}
            statement = statement.on_conflict_do_update(
                index_elements=["id"], set_=changed, where=runs.c.completed_at.is_(None)
            )
            # One statement for any number of rows, so that it is compiled once.
            await connection.execute(statement, [run.model_dump() for run in batch])

    async def mark_lost(self, run_ids: Sequence[str]) -> None:
        """Record that Temporal no longer knows runs, so that how they ended is unknown."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(runs)
                .where(runs.c.id.in_(run_ids), runs.c.completed_at.is_(None))
                .values(status="cancelled", completed_at=datetime.now(UTC))
            )

    async def get(self, customer_id: str | None, run_id: str) -> RunSummary | None:
        """Return a run, or `None`."""
        query = _filter_customer(customer_id, select(runs).where(runs.c.id == run_id))
        async with self.database.read_transaction() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else RunSummary(**row)

    async def list_reruns(self, customer_id: str | None, run_id: str) -> list[str]:
        """List the reruns of a run, the oldest first."""
        query = _filter_customer(customer_id, select(runs.c.id).where(runs.c.rerun_of == run_id))
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query.order_by(runs.c.started_at, runs.c.id).limit(MAX_RERUNS)))

    async def list_runs(
        self,
        customer_id: str | None,
        wanted: RunFilter = ALL_RUNS,
        *,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[RunSummary]:
        """List runs, the newest first; `after` is `(started_at, id)` of the last one on the page before."""
        query = _filter_customer(customer_id, select(runs).where(*wanted.build_conditions()))
        if after:
            query = query.where(tuple_(runs.c.started_at, runs.c.id) < tuple_(*after))
        query = query.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)
        async with self.database.read_transaction() as connection:
            return [RunSummary(**row) for row in (await connection.execute(query)).mappings()]

    async def list_ids_between(self, customer_id: str, first: str, last: str) -> list[str]:
        """List the IDs of runs between two IDs of equal length, both included."""
        query = select(runs.c.id).where(
            runs.c.customer_id == customer_id, runs.c.id.between(first, last), func.length(runs.c.id) == len(first)
        )
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query))

    async def list_open(self, before: datetime, after: Sequence[Any], limit: int) -> list[RunSummary]:
        """List runs that started before a time and have no recorded end, the oldest first."""
        query = select(runs).where(runs.c.status == "running", runs.c.started_at < before)
        if after:
            query = query.where(tuple_(runs.c.started_at, runs.c.id) > tuple_(*after))
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query.order_by(runs.c.started_at, runs.c.id).limit(limit))
            return [RunSummary(**row) for row in rows.mappings()]

    async def count_runs(self, customer_id: str, names: Sequence[str], version: int | None = None) -> dict[str, Counts]:
        """Count the runs of published versions by status, since the workflow was created."""
        query = select(
            runs.c.workflow_id, runs.c.status, func.count().label("number"), func.max(runs.c.started_at).label("last")
        ).where(*_build_count_conditions(customer_id, version), runs.c.workflow_id.in_(names))
        async with self.database.read_transaction() as connection:
            rows = list(await connection.execute(query.group_by(runs.c.workflow_id, runs.c.status)))
        grouped: dict[str, list[Any]] = {}
        for row in rows:
            grouped.setdefault(row.workflow_id, []).append(row)
        return {
            name: Counts(
                sum(row.number for row in group),
                tuple(sorted((row.status, row.number) for row in group)),
                max(row.last for row in group),
            )
            for name, group in grouped.items()
        }

    async def compute_percentiles(
        self, customer_id: str, workflow_id: str, version: int | None = None
    ) -> dict[str, int | None]:
        """Return percentiles of the duration of completed runs, in milliseconds (nearest rank)."""
        wanted = [
            *_build_count_conditions(customer_id, version),
            runs.c.workflow_id == workflow_id,
            runs.c.status == "completed",
            runs.c.duration_ms.is_not(None),
        ]
        percentiles: dict[str, int | None] = {}
        async with self.database.read_transaction() as connection:
            number = int((await connection.execute(select(func.count()).where(and_(*wanted)))).scalar_one())
            for name, part in PERCENTILES.items():
                rank = max(-(-number * int(part * 100) // 100) - 1, 0)
                query = select(runs.c.duration_ms).where(and_(*wanted)).order_by(runs.c.duration_ms)
                percentiles[name] = (await connection.execute(query.offset(rank).limit(1))).scalar()
        return percentiles


def _filter_customer(customer_id: str | None, query: Select[Any]) -> Select[Any]:
    """Restrict a query to a customer; `None` is an administrator, who reads the runs of all."""
    return query if customer_id is None else query.where(runs.c.customer_id == customer_id)


def _build_count_conditions(customer_id: str, version: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions that leave out runs of drafts and of a deleted workflow with the same id."""
    same = and_(workflows.c.customer_id == runs.c.customer_id, workflows.c.id == runs.c.workflow_id)
    wanted = [runs.c.customer_id == customer_id, same, runs.c.started_at >= workflows.c.created_at]
    return [*wanted, runs.c.workflow_version > 0 if version is None else runs.c.workflow_version == version]


def _deduplicate(summaries: Iterable[RunSummary]) -> list[RunSummary]:
    """Keep the summary that would win if all were written in turn, in the order in which every writer locks rows."""
    latest: dict[str, RunSummary] = {}
    for run in summaries:
        if run.id not in latest or latest[run.id].completed_at is None:
            latest[run.id] = run
    return [latest[name] for name in sorted(latest)]
