"""Lists of a million runs: 50 rows by each filter, alone and with a workflow, a status and a range of time.

`python -m benchmarks --lists` measures SQLite in a temporary folder; where ORCHESTRATOR_DATABASE_URL names an empty
database, PostgreSQL.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from orchestrator.settings import Settings
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import run_keys, runs

NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
SPACING = timedelta(seconds=31)
"""A million runs are a year's."""
BATCH = 10_000
LARGEST = "customer-0"
"""It has half of the runs."""
WORKFLOWS, CUSTOMERS, NODES, WORDS = 40, 20, 30, 500
CALLS, WARM_UP = 25, 3
TRIGGERS = ("manual", "event", "schedule", "webhook")
REASONS = ("delay", "event", "operator", "paused", "child")


@dataclass(frozen=True, slots=True)
class ListTime:
    """How long a list takes, in milliseconds."""

    name: str
    rows: int
    p50: float
    p95: float
    plan: str = ""
    """How the database finds the rows."""


async def measure_lists(quick: bool) -> list[ListTime]:
    """Fill an index of runs and list by each filter, as an administrator and as the largest customer."""
    count = 50_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as home:
        database = create_database(get_database_url(Settings(home=Path(home))))
        try:
            await database.migrate()
            await _fill(database, count)
            index = RunIndex(database)
            return [
                await _measure(index, f"{name}{' of a customer' if customer else ''}", customer, wanted)
                for customer in (None, LARGEST)
                for name, wanted in list_filters(count).items()
            ]
        finally:
            await database.aclose()


def list_filters(count: int) -> dict[str, RunFilter]:
    """Return the filters by name: each alone, and with a workflow, a status and a range of time."""
    middle = NEWEST - SPACING * (count // 2)
    alone = {
        "no filter": RunFilter(),
        **{f"status {name}": RunFilter(statuses=(name,)) for name in ("pending", "waiting", "failed", "cancelled")},
        "reason operator": RunFilter(reason="operator"),
        "reason no_worker": RunFilter(reason="no_worker"),
        "node": RunFilter(node_id="node-7"),
        "error type": RunFilter(error_type="timeout_error"),
        "error text": RunFilter(error="word-77 "),
        "error text nowhere": RunFilter(error="nowhere"),
        "trigger": RunFilter(trigger_type="webhook"),
        "parent": RunFilter(parent_run_id=_name(count // 2)),
        "rerun of": RunFilter(rerun_of=_name(count // 2)),
        "rerun": RunFilter(rerun=True),
        "not rerun": RunFilter(rerun=False),
        "key": RunFilter(keys=(("order", "7"),)),
        "started": RunFilter(since=middle, until=middle + timedelta(days=1)),
        "ended": RunFilter(ended_since=middle, ended_until=middle + timedelta(days=1)),
        "workflow": RunFilter(workflow_id="workflow-7"),
    }
    started = {"since": middle - timedelta(days=7), "until": middle + timedelta(days=7)}
    return {
        **{name: wanted for name, wanted in alone.items() if wanted.error is None},
        **{f"{name} + workflow": replace(wanted, workflow_id="workflow-7") for name, wanted in alone.items()},
        **{
            f"{name} + status": replace(wanted, statuses=wanted.statuses or ("failed",))
            for name, wanted in alone.items()
            if wanted.error is None
        },
        **{f"{name} + range": replace(wanted, **started) for name, wanted in alone.items()},
    }


async def _measure(index: RunIndex, name: str, customer: str | None, wanted: RunFilter) -> ListTime:
    times = []
    rows = 0
    for _ in range(WARM_UP + CALLS):
        start = time.perf_counter()
        rows = len(await index.list_runs(customer, wanted))
        times.append((time.perf_counter() - start) * 1000)
    ordered = sorted(times[WARM_UP:])
    p95 = ordered[-(-len(ordered) * 95 // 100) - 1]
    return ListTime(name, rows, statistics.median(ordered), p95, await _explain(index, customer, wanted))


async def _explain(index: RunIndex, customer: str | None, wanted: RunFilter) -> str:
    word = "EXPLAIN" if index.database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    async with index.database.read_transaction() as connection:
        dialect = connection.dialect
        compiled = index.build_list_query(customer, wanted).compile(
            dialect=dialect, compile_kwargs={"literal_binds": True}
        )
        return "\n".join(str(row[-1]) for row in await connection.exec_driver_sql(f"{word} {compiled}"))


async def _fill(database: Database, count: int) -> None:
    columns = [column.name for column in runs.c]
    for first in range(0, count, BATCH):
        rows = [_build_row(number, count) for number in range(first, min(first + BATCH, count))]
        keys = [
            {"run_id": row["id"], "name": "order", "value": str(number // 3), "customer_id": row["customer_id"]}
            for number, row in enumerate(rows, first)
        ]
        async with database.write_transaction() as connection:
            await connection.execute(insert(runs), [dict.fromkeys(columns) | row for row in rows])
            await connection.execute(insert(run_keys), keys)
    async with database.write_transaction() as connection:
        await connection.execute(text("UPDATE runs SET has_rerun = true WHERE id IN (SELECT rerun_of FROM runs)"))
        await connection.execute(text("ANALYZE"))


def _name(number: int) -> str:
    return f"run-{number:08d}"


def _build_row(number: int, count: int) -> dict[str, Any]:
    """Build a run: of a hundred, 90 completed, six failed, two were cancelled, and of the newest tenth two are open."""
    mixed = number * 2_654_435_761 % 2**32
    started = NEWEST - SPACING * (count - number)
    row: dict[str, Any] = {
        "id": _name(number),
        "customer_id": f"customer-{0 if mixed % 2 else mixed // 2 % CUSTOMERS}",
        "workflow_id": f"workflow-{mixed // 7 % WORKFLOWS}",
        "workflow_version": 1,
        "trigger_type": TRIGGERS[min(mixed // 11 % 100 // 33, 3)],
        "started_at": started,
        "as_of": started,
        "rerun_of": _name(number - 1000) if number > 1000 and mixed // 13 % 100 == 0 else None,
        "parent_run_id": _name(number - 500) if number > 500 and mixed // 17 % 20 == 0 else None,
    }
    share = mixed // 19 % 100
    if share >= 98 and number > count * 9 // 10:
        return row | _build_open(mixed // 23)
    ended = {"completed_at": started + timedelta(seconds=mixed % 5000), "duration_ms": mixed % 5000 * 1000}
    if share < 6:
        message = f"the service answered word-{mixed // 29 % WORDS} after word-{mixed // 31 % WORDS} attempts"
        kind = "timeout_error" if mixed // 37 % 20 == 0 else "action_error"
        ended |= {"status": "failed", "node_id": f"node-{mixed // 41 % NODES}", "error": message, "error_type": kind}
    else:
        ended |= {"status": "cancelled" if share < 8 else "completed"}
    return row | ended


def _build_open(mixed: int) -> dict[str, Any]:
    node = f"node-{mixed // 100 % NODES}"
    match mixed % 10:
        case 0:
            return {"status": "pending", "reason": "no_worker", "node_id": node}
        case 1:
            return {"status": "retrying", "node_id": node, "error": "busy", "error_type": "action_error"}
        case 2 | 3:
            return {"status": "running"}
        case _:
            reason = REASONS[mixed // 10 % len(REASONS)]
            return {"status": "waiting", "reason": reason, "node_id": node, "waiting_for": [{"kind": reason}]}
