"""Lists of a million runs: 50 rows by each filter, alone and with a workflow, a status and a range of time.

Each is measured as the query of the index and as `GET /runs`, through the application without a network.

`python -m benchmarks --lists` measures SQLite in a temporary folder; where ORCHESTRATOR_DATABASE_URL names an empty
database, PostgreSQL.
"""

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, text
from temporalio.client import Client

from activities import load_builtin_registry
from api.app import PREFIX, create_app
from orchestrator.service.services import open_services
from orchestrator.settings import Settings
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import run_keys, runs
from orchestrator.temporal.client.runs import Runs

NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
SPACING = timedelta(seconds=31)
"""A million runs are a year's."""
BATCH = 10_000
LARGEST = "customer-0"
"""It has half of the runs."""
WORKFLOWS, CUSTOMERS, NODES, WORDS = 40, 20, 30, 500
CALLS, WARM_UP = 25, 3
FILL_SECONDS = 600.0
"""For one statement while the index is filled."""
TRIGGERS = ("manual", "event", "schedule", "webhook")
REASONS = ("delay", "event", "operator", "paused", "child")


PARAMETERS = {"statuses": "status", "node_id": "node", "trigger_type": "trigger", "parent_run_id": "parent"}
"""Names of fields in `GET /runs` that differ from those of the filter."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long something takes, in milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class ListTime:
    """How long a list takes."""

    name: str
    rows: int
    index: Percentiles
    http: Percentiles
    plan: str = ""
    """How the database finds the rows."""


async def measure_lists(quick: bool) -> list[ListTime]:
    """Fill an index of runs and list by each filter, as an administrator and as the largest customer."""
    count = 50_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as home:
        database = create_database(get_database_url(Settings(home=Path(home))), command_seconds=FILL_SECONDS)
        try:
            await database.migrate()
            await _fill(database, count)
            index = RunIndex(database)
            async with _open_api(Path(home)) as api:
                return [
                    await _measure(index, api, f"{name}{' of a customer' if customer else ''}", customer, wanted)
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
    started: dict[str, Any] = {"since": middle - timedelta(days=7), "until": middle + timedelta(days=7)}
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


@asynccontextmanager
async def _open_api(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Open the application of the API on the same database; lists need no Temporal server."""
    settings = Settings(home=home, rate_limit="1000000/second")
    client = await Client.connect(settings.temporal_address, lazy=True)
    async with open_services(settings, Runs(client, settings), load_builtin_registry()) as services:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1{PREFIX}") as api:
            yield api


async def _measure(
    index: RunIndex, api: httpx.AsyncClient, name: str, customer: str | None, wanted: RunFilter
) -> ListTime:
    params = _build_parameters(wanted) | ({"customer_id": customer} if customer else {})

    async def request() -> int:
        answer = await api.get("/runs", params=params)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["items"])

    async def query() -> int:
        return len(await index.list_runs(customer, wanted))

    rows, index_times = await _time(query)
    listed, http_times = await _time(request)
    assert listed == rows, (name, listed, rows)
    return ListTime(name, rows, index_times, http_times, await _explain(index, customer, wanted))


async def _time(call: Callable[[], Awaitable[int]]) -> tuple[int, Percentiles]:
    """Call something again and again; return what it answers, and how long it takes."""
    times = []
    rows = 0
    for _ in range(WARM_UP + CALLS):
        start = time.perf_counter()
        rows = await call()
        times.append((time.perf_counter() - start) * 1000)
    ordered = sorted(times[WARM_UP:])
    return rows, Percentiles(statistics.median(ordered), ordered[-(-len(ordered) * 95 // 100) - 1])


def _build_parameters(wanted: RunFilter) -> dict[str, Any]:
    """Return a filter as the parameters of `GET /runs`."""
    fields = {name: getattr(wanted, name) for name in wanted.__dataclass_fields__}
    keys = {"key": [f"{name}={value}" for name, value in fields.pop("keys")]}
    values = {PARAMETERS.get(name, name): value for name, value in fields.items() if value not in (None, ())}
    return keys | {name: each.isoformat() if isinstance(each, datetime) else each for name, each in values.items()}


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
        await connection.execute(text("ANALYZE"))


def _name(number: int) -> str:
    return f"run-{number:08d}"


def _mix(number: int) -> int:
    """Spread numbers evenly, the same ones in each fill."""
    return number * 2_654_435_761 % 2**32


def _is_rerun(number: int) -> bool:
    return _mix(number) // 13 % 100 == 0


def _build_row(number: int, count: int) -> dict[str, Any]:
    """Build a run: of a hundred, 90 completed, six failed, two were cancelled, and of the newest tenth two are open."""
    mixed = _mix(number)
    started = NEWEST - SPACING * (count - number)
    row: dict[str, Any] = {
        "id": _name(number),
        "customer_id": f"customer-{0 if mixed % 2 else mixed // 2 % CUSTOMERS}",
        "workflow_id": f"workflow-{mixed // 7 % WORKFLOWS}",
        "workflow_version": 1,
        "trigger_type": TRIGGERS[min(mixed // 11 % 100 // 33, 3)],
        "started_at": started,
        "as_of": started,
        "rerun_of": _name(number - 1000) if number > 1000 and _is_rerun(number) else None,
        "has_rerun": (number + 1000 < count and _is_rerun(number + 1000)) or None,
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
