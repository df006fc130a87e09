"""What runs have used, beside them in the index."""

from collections.abc import Mapping

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.model.usage import Usage, UsageSum
from orchestrator.store.database import Database
from orchestrator.store.run_index import build_count_conditions
from orchestrator.store.tables import runs

COLUMNS = {name: runs.c[f"used_{name}"] for name in Usage.model_fields}
SUMMED = {name: func.coalesce(func.sum(column), 0) for name, column in COLUMNS.items() if name != "complete"}
COUNT_INCOMPLETE = func.count(case((COLUMNS["complete"].is_(False), 1)))


async def write_usages(connection: AsyncConnection, usages: Mapping[str, Usage]) -> None:
    """Write what runs have used."""
    if not usages:
        return
    statement = update(runs).where(runs.c.id == bindparam("own_id"))
    statement = statement.values({column.name: bindparam(f"new_{name}") for name, column in COLUMNS.items()})
    rows = [
        {"own_id": run_id, **{f"new_{name}": value for name, value in usage.model_dump().items()}}
        for run_id, usage in sorted(usages.items())
    ]
    await connection.execute(statement, rows)


async def sum_usage(database: Database, customer_id: str, workflow_id: str, version: int | None = None) -> UsageSum:
    """Return what the runs that `RunIndex.count_runs` counts have used."""
    query = select(
        func.count(COLUMNS["complete"]).label("runs"),
        COUNT_INCOMPLETE.label("incomplete"),
        *(total.label(name) for name, total in SUMMED.items()),
    ).where(*build_count_conditions(customer_id, version), runs.c.workflow_id == workflow_id)
    async with database.read_transaction() as connection:
        row = dict((await connection.execute(query)).mappings().one())
    return UsageSum(complete=row.pop("incomplete") == 0, **row)
