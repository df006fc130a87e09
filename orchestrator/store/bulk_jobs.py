"""Operations on many runs: what was asked for, how far it is, and what came of each run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.tables import bulk_items, bulk_jobs, runs

RUNNING, STOPPED, COMPLETED = "running", "stopped", "completed"
DONE, REFUSED, FAILED, UNREACHABLE = "done", "refused", "failed", "unreachable"
MAX_FAILED_ALIKE = 20


class BulkJobNotFound(OrchestratorError):
    """There is no such operation on many runs."""

    code = "bulk_job_not_found"


@dataclass(frozen=True, slots=True)
class BulkJob:
    """An operation on all runs of a filter."""

    operation: str
    selection: Mapping[str, Any]
    """The filter, as `RunFilter.to_json` writes it."""
    options: Mapping[str, Any]
    actor: str
    """Who asked for it: the name of an API key."""
    pace: int
    """Runs a second, at most."""
    total: int
    """Runs that matched when it started."""
    customer_id: str = ""
    """Empty for an administrator, whose job takes the runs of all customers."""
    state: str = RUNNING
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class BulkItem:
    """What came of one run."""

    run_id: str
    outcome: str
    """`done`, `refused`, `unreachable`, or `failed` for an error of this program."""
    message: str | None = None
    new_run_id: str | None = None
    """The rerun."""


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What came of the runs so far."""

    outcomes: Mapping[str, int]
    """Number of runs by outcome."""
    reruns: Mapping[str, int]
    """Number of started reruns by the status that they have now."""
    failed_reruns: Sequence[tuple[str, str, int]]
    """Where reruns failed again: node, error type and number, the most frequent first."""


class BulkJobs:
    """The jobs of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @retry_conflicts
    async def add(self, job: BulkJob) -> None:
        """Store a new job."""
        async with self.database.write_transaction() as connection:
            await connection.execute(insert(bulk_jobs).values(asdict(job)))

    async def get(self, customer_id: str | None, job_id: str) -> BulkJob:
        """Return a job; raises BulkJobNotFound."""
        query = select(bulk_jobs).where(bulk_jobs.c.id == job_id)
        if customer_id is not None:
            query = query.where(bulk_jobs.c.customer_id == customer_id)
        async with self.database.read_transaction() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise BulkJobNotFound(f"there is no operation {job_id!r} on many runs")
        return BulkJob(**row)

    async def list_running(self) -> list[str]:
        """Return the IDs of the jobs that have not ended."""
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(select(bulk_jobs.c.id).where(bulk_jobs.c.state == RUNNING)))

    @retry_conflicts
    async def end(self, job_id: str, state: str) -> None:
        """Record the end of a job; the first one counts."""
        values = {"state": state, "ended_at": datetime.now(UTC)}
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(bulk_jobs).where(bulk_jobs.c.id == job_id, bulk_jobs.c.state == RUNNING).values(values)
            )

    @retry_conflicts
    async def add_items(self, job_id: str, items: Iterable[BulkItem]) -> None:
        """Record what came of runs; the first outcome of a run counts."""
        rows = [{"job_id": job_id, **asdict(item)} for item in items]
        if not rows:
            return
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            await connection.execute(make(bulk_items).on_conflict_do_nothing(), rows)

    async def find_done(self, job_id: str, run_ids: Sequence[str]) -> set[str]:
        """Return which of these runs have an outcome: a batch may be done again after a crash."""
        query = select(bulk_items.c.run_id).where(bulk_items.c.job_id == job_id, bulk_items.c.run_id.in_(run_ids))
        async with self.database.read_transaction() as connection:
            return set(await connection.scalars(query))

    async def list_items(
        self, job_id: str, outcome: str | None = None, *, after: str = "", limit: int = 50
    ) -> list[BulkItem]:
        """List what came of the runs, by run ID; `after` is the last one on the page before."""
        columns = [bulk_items.c[name] for name in BulkItem.__slots__]
        query = select(*columns).where(bulk_items.c.job_id == job_id, bulk_items.c.run_id > after)
        if outcome is not None:
            query = query.where(bulk_items.c.outcome == outcome)
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query.order_by(bulk_items.c.run_id).limit(limit))
            return [BulkItem(**row) for row in rows.mappings()]

    async def report(self, job_id: str) -> BulkReport:
        """Return what came of the runs so far, and how the reruns have ended."""
        own = bulk_items.c.job_id == job_id
        by_outcome = select(bulk_items.c.outcome, func.count()).where(own).group_by(bulk_items.c.outcome)
        status = func.coalesce(runs.c.status, "running")
        joined = bulk_items.outerjoin(runs, runs.c.id == bulk_items.c.new_run_id)
        reran = bulk_items.c.new_run_id.is_not(None)
        by_status = select(status, func.count()).select_from(joined).where(own, reran).group_by(status)
        place = (func.coalesce(runs.c.node_id, ""), func.coalesce(runs.c.error_type, ""))
        alike = (
            select(*place, func.count())
            .select_from(joined)
            .where(own, reran, runs.c.status == "failed")
            .group_by(*place)
            .order_by(func.count().desc())
            .limit(MAX_FAILED_ALIKE)
        )
        async with self.database.read_transaction() as connection:
            return BulkReport(
                {row[0]: row[1] for row in await connection.execute(by_outcome)},
                {row[0]: row[1] for row in await connection.execute(by_status)},
                [(node, kind, number) for node, kind, number in await connection.execute(alike)],
            )
