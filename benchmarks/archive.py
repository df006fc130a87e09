"""What archiving ended runs costs: processor time of this process, all of it, and bytes, for runs of 10, 100 and 1,000
steps. The server runs in a process of its own, and the worker has stopped."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import cast
from uuid import uuid4

from sqlalchemy import func, select

from activities.registry import Registry
from benchmarks.cases import EXAMPLE, LOCAL, TEMPLATES, echo
from orchestrator.planner.planner import check
from orchestrator.planner.policies import Catalogue
from orchestrator.service.archiver import Archiver
from orchestrator.settings import Settings
from orchestrator.store.archive import Archive
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import archive
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.run_reader import RunReader
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.worker import run_worker

SIZES = {10: 300, 100: 40, 1_000: 5}
"""Number of runs by their steps."""


async def measure_archive(quick: bool) -> dict[str, float | str]:
    """Return what a run costs, by its steps."""
    registry = Registry()
    registry.add(echo.__orchestrator_action__)  # type: ignore[attr-defined]  # set by @action
    figures: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as home:
        async with run_dev_server(Path(home)) as server:
            settings = Settings(home=Path(home), temporal_address=server.address, task_queue="archive")
            runs = Runs(await connect(settings), settings)
            database = create_database(get_database_url(settings))
            try:
                await database.migrate()
                for steps, number in SIZES.items():
                    ids = await _run_all(runs, registry, steps, max(number // 5, 2) if quick else number)
                    figures |= await _measure(runs, database, ids, steps)
            finally:
                await database.aclose()
    return figures


async def _run_all(runs: Runs, registry: Registry, steps: int, number: int) -> list[str]:
    body = {"id": "work", "type": "action", "action": "bench.echo", "config": TEMPLATES, **LOCAL}
    each = {"id": "each", "type": "loop", "collection": steps, "body": ["work"]}
    definition = {
        "id": f"steps-{steps}",
        "name": "Archived",
        "trigger": {"type": "manual"},
        "nodes": [each, body],
        "edges": [{"source": "trigger", "target": "each"}],
        "settings": {"fuse": False, "step_log_limit": steps + 1},
    }
    plan = check(definition, registry=cast("Catalogue", registry)).require()
    at_once = asyncio.Semaphore(20)

    async def run_one() -> str:
        async with at_once:
            run = await runs.start(runs.prepare(plan, input_data=EXAMPLE, run_id=f"steps-{steps}-{uuid4().hex}"))
            await runs.client.get_workflow_handle(run.id).result()
            return run.id

    async with run_worker(runs.client, runs.settings, registry):
        return await asyncio.gather(*(run_one() for _ in range(number)))


async def _measure(runs: Runs, database: Database, ids: list[str], steps: int) -> dict[str, float | str]:
    await RunIndex(database).put([await runs.visibility.read_summary(run_id) for run_id in ids])
    archiver = Archiver(RunReader(runs.client, runs.settings), Archive(database), Leases(database, "bench"), None)
    began, cpu = time.perf_counter(), time.process_time()
    await archiver.catch_up()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    async with database.read_transaction() as connection:
        size = await connection.scalar(
            select(func.avg(func.length(archive.c.document))).where(archive.c.run_id.in_(ids))
        )
    name = f"archiving runs of {steps:,} steps"
    return {
        f"{name}, CPU-ms for each": cpu * 1000 / len(ids),
        f"{name}, runs per second": len(ids) / seconds,
        f"{name}, bytes for each": float(size or 0),
    }
