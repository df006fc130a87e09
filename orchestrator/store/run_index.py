"""The run index, from which lists and statistics are read; it outlives Temporal's retention.

Temporal is the source of truth. The indexer copies from there, so the index may be a second behind.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.jsontools.text import shorten
from orchestrator.model.run import RunSummary
from orchestrator.store.database import Database, ValueRefused, retry_conflicts
from orchestrator.store.run_filter import ALL_RUNS, RunFilter
from orchestrator.store.tables import run_keys, runs, workflows

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
CHANGING = (
    *("status", "started_at", "completed_at", "duration_ms", "cancelled_by", "cancel_reason"),
    *("reason", "node_id", "waiting_for", "error_type", "error", "as_of"),
)
"""Columns that an update overwrites; `started_at` is first recorded by the clock of a process, not of Temporal."""
LEARNT = ("workflow_name", "parent_run_id", "keys")
"""Columns that an update overwrites where it knows a value: not every writer does."""
MAX_ERROR = 2_000
MAX_RERUNS = 100
SHOWN = [
    column for column in runs.c if column.name not in ("archived", "has_rerun") and not column.name.startswith("used_")
]
_RERUNS = runs.alias("reruns")
FIND_RERUN = select(literal(True)).where(_RERUNS.c.rerun_of == bindparam("own_id")).limit(1).scalar_subquery()
"""True where a rerun of a run was written before the run itself."""
SELECT_RUNS = select(*SHOWN, workflows.c.name.label("stored_name")).select_from(
    runs.outerjoin(workflows, and_(workflows.c.customer_id == runs.c.customer_id, workflows.c.id == runs.c.workflow_id))
)
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

    @retry_conflicts
    async def _put(self, batch: Sequence[RunSummary]) -> None:
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            statement = make(runs).values(has_rerun=FIND_RERUN)
            new = statement.excluded
            changed: dict[str, Any] = {name: new[name] for name in CHANGING}
            changed |= {name: func.coalesce(new[name], runs.c[name]) for name in LEARNT}
            is_newer = or_(runs.c.as_of.is_(None), new.as_of.is_(None), runs.c.as_of <= new.as_of)
            is_due = and_(runs.c.completed_at.is_(None), or_(new.completed_at.is_not(None), is_newer))
            statement = statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=is_due)
            # One statement for any number of rows, so that it is compiled once.
            rows = [_make_row(run) for run in batch]
            await connection.execute(statement, [{**row, "own_id": row["id"]} for row in rows])
            if rerun := [row["rerun_of"] for row in rows if row["rerun_of"] is not None]:
                mark = update(runs).where(runs.c.id.in_(rerun), runs.c.has_rerun.is_(None))
                await connection.execute(mark.values(has_rerun=True))
            keys = [
                _replace_nul({"run_id": run.id, "name": name, "value": value, "customer_id": run.customer_id})
                for run in batch
                for name, value in run.keys.items()
            ]
            if keys:
                await connection.execute(make(run_keys).on_conflict_do_nothing(), keys)

    @retry_conflicts
    async def mark_lost(self, run_ids: Sequence[str]) -> None:
        """Record that Temporal no longer knows runs, so that how they ended is unknown."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(runs)
                .where(runs.c.id.in_(run_ids), runs.c.completed_at.is_(None))
                .values(status="cancelled", completed_at=datetime.now(UTC), reason=None, waiting_for=None)
            )

    async def get(self, customer_id: str | None, run_id: str) -> RunSummary | None:
        """Return a run, or `None`."""
        query = _filter_customer(customer_id, SELECT_RUNS.where(runs.c.id == run_id))
        async with self.database.read_transaction() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _parse_row(row)

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
        """List runs, the newest first; `after` is `(started_at, id)` of the last one on the page before.

        Raises FilterTooWide.
        """
        wanted.require_narrow(datetime.now(UTC))
        query = self.build_list_query(customer_id, wanted, after=after, limit=limit)
        async with self.database.read_transaction() as connection:
            return [_parse_row(row) for row in (await connection.execute(query)).mappings()]

    def build_list_query(
        self, customer_id: str | None, wanted: RunFilter, *, after: Sequence[Any] = (), limit: int = 50
    ) -> Select[Any]:
        """Return the query of a list."""
        query = SELECT_RUNS.where(*wanted.build_conditions(customer_id))
        if after:
            query = query.where(tuple_(runs.c.started_at, runs.c.id) < tuple_(*after))
        return query.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)

    async def list_ids_between(self, customer_id: str, first: str, last: str) -> list[str]:
        """List the IDs of runs between two IDs of equal length, both included."""
        query = select(runs.c.id).where(
            runs.c.customer_id == customer_id, runs.c.id.between(first, last), func.length(runs.c.id) == len(first)
        )
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query))

    async def count_waiting(self, reasons: Sequence[str]) -> list[tuple[str, int, datetime]]:
        """Return by workflow the number of runs that wait for one of these, and since when the first of them does."""
        since = func.coalesce(func.min(runs.c.waiting_for[0]["since"].as_string()), "")
        query = (
            select(runs.c.workflow_id, func.count(), func.min(runs.c.as_of), since)
            .where(runs.c.completed_at.is_(None), runs.c.reason.in_(reasons))
            .group_by(runs.c.workflow_id)
        )
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query)
            return [
                (name, number, datetime.fromisoformat(text) if text else as_of) for name, number, as_of, text in rows
            ]

    async def list_open(
        self, before: datetime, after: Sequence[Any], limit: int, *, customer_id: str | None = None
    ) -> list[RunSummary]:
        """List runs that started before a time and have no recorded end, the oldest first."""
        query = _filter_customer(customer_id, SELECT_RUNS).where(
            runs.c.completed_at.is_(None), runs.c.started_at < before
        )
        if after:
            query = query.where(tuple_(runs.c.started_at, runs.c.id) > tuple_(*after))
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query.order_by(runs.c.started_at, runs.c.id).limit(limit))
            return [_parse_row(row) for row in rows.mappings()]

    async def list_still(self, before: datetime, limit: int) -> list[RunSummary]:
        """List open runs of which nothing is known since a time, the longest ago first.

        What a run waits for by itself is recorded when that changes, so such a run is not listed.
        """
        query = SELECT_RUNS.where(
            runs.c.completed_at.is_(None),
            runs.c.started_at < before,
            runs.c.as_of < before,
            or_(runs.c.status != "waiting", runs.c.reason == "child"),
        )
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query.order_by(runs.c.as_of).limit(limit))
            return [_parse_row(row) for row in rows.mappings()]

    async def count_runs(self, customer_id: str, names: Sequence[str], version: int | None = None) -> dict[str, Counts]:
        """Count the runs of published versions by status, since the workflow was created."""
        query = select(
            runs.c.workflow_id, runs.c.status, func.count().label("number"), func.max(runs.c.started_at).label("last")
        ).where(*build_count_conditions(customer_id, version), runs.c.workflow_id.in_(names))
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

    async def list_durations(self, customer_id: str, workflow_id: str, limit: int) -> list[int]:
        """List how long the newest completed runs of a workflow took, in milliseconds."""
        query = select(runs.c.duration_ms).where(
            runs.c.customer_id == customer_id,
            runs.c.workflow_id == workflow_id,
            runs.c.status == "completed",
            runs.c.duration_ms.is_not(None),
        )
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query.order_by(runs.c.started_at.desc()).limit(limit)))

    async def compute_percentiles(
        self, customer_id: str, workflow_id: str, version: int | None = None
    ) -> dict[str, int | None]:
        """Return percentiles of the duration of completed runs, in milliseconds (nearest rank)."""
        wanted = [
            *build_count_conditions(customer_id, version),
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


def build_count_conditions(customer_id: str, version: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions that leave out runs of drafts and of a deleted workflow with the same id."""
    same = and_(workflows.c.customer_id == runs.c.customer_id, workflows.c.id == runs.c.workflow_id)
    wanted = [runs.c.customer_id == customer_id, same, runs.c.started_at >= workflows.c.created_at]
    return [*wanted, runs.c.workflow_version > 0 if version is None else runs.c.workflow_version == version]


def _make_row(run: RunSummary) -> dict[str, Any]:
    """Return the columns of a run; what is empty is null, so that another writer may know better."""
    row = run.model_dump()
    empty = {name: row[name] or None for name in ("workflow_name", "keys", "waiting_for")}
    error = shorten(run.error, MAX_ERROR) if run.error is not None else None
    return dict(_replace_nul({**row, **empty, "error": error}))


def _replace_nul(value: Any) -> Any:
    """Return a value with U+FFFD for the character NUL, which PostgreSQL refuses in any text, also inside JSON."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_replace_nul(name): _replace_nul(item) for name, item in value.items()}
    return [_replace_nul(item) for item in value] if isinstance(value, list | tuple) else value


def _parse_row(row: Mapping[Any, Any]) -> RunSummary:
    """Return a run; a run without a name has that of its workflow today."""
    values = dict(row)
    name = values.pop("stored_name")
    empty = {"workflow_name": values["workflow_name"] or name or "", "keys": values["keys"] or {}}
    return RunSummary(**(values | empty | {"waiting_for": values["waiting_for"] or []}))


def _deduplicate(summaries: Iterable[RunSummary]) -> list[RunSummary]:
    """Keep the summary that would win if all were written in turn, in the order in which every writer locks rows."""
    latest: dict[str, RunSummary] = {}
    for run in summaries:
        if run.id not in latest or latest[run.id].completed_at is None:
            latest[run.id] = run
    return [latest[name] for name in sorted(latest)]
