"""Count the runs that a list would show."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.store.database import Database
from orchestrator.store.run_filter import HAS_RERUN, RunFilter
from orchestrator.store.tables import runs

MAX_GROUPS = 20


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Runs of one workflow that failed at one node with one type of error, and have not been rerun."""

    workflow_id: str
    node_id: str | None
    error_type: str | None
    number: int
    error: str | None
    """The message of one of them."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The number of runs that match a filter."""

    by_status: dict[str, int]
    by_reason: dict[str, int]
    by_workflow: dict[str, int]
    failures: list[FailureGroup]
    """The largest groups."""


async def count_runs(database: Database, customer_id: str | None, wanted: RunFilter) -> RunCounts:
    """Count the runs that match a filter; `None` as the customer counts those of all."""
    conditions = wanted.build_conditions(customer_id)
    keys = (runs.c.workflow_id, runs.c.status, runs.c.reason)
    query = select(*keys, func.count().label("number")).where(*conditions).group_by(*keys)
    by_status: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    by_workflow: Counter[str] = Counter()
    async with database.read_transaction() as connection:
        for row in await connection.execute(query):
            by_status[row.status] += row.number
            by_workflow[row.workflow_id] += row.number
            if row.reason is not None:
                by_reason[row.reason] += row.number
        failures = await _group_failures(connection, conditions)
    return RunCounts(dict(by_status), dict(by_reason), dict(by_workflow), failures)


async def _group_failures(connection: AsyncConnection, conditions: list[ColumnElement[bool]]) -> list[FailureGroup]:
    keys = (runs.c.workflow_id, runs.c.node_id, runs.c.error_type)
    number = func.count().label("number")
    query = (
        select(*keys, number, func.max(runs.c.error).label("error"))
        .where(*conditions, runs.c.status == "failed", ~HAS_RERUN)
        .group_by(*keys)
        .order_by(number.desc(), *keys)
        .limit(MAX_GROUPS)
    )
    return [FailureGroup(**row) for row in (await connection.execute(query)).mappings()]
