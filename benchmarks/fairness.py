"""A customer's ten-step run beside twenty runs of another that compute all the time, with one worker and with two.

Each worker is a process of its own, as in production.
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.cases import EXAMPLE, build_sequence, build_workflow
from benchmarks.processes import run_worker
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server

NOISY_RUNS = 20
NOISY_NODES = 5_000_000
WARM_UP = 5
SETTLE_SECONDS = 10.0
WAIT_SECONDS = 300.0


async def measure_fairness(quick: bool) -> dict[str, str]:
    """Return how long the small run takes, alone and beside the noisy ones, by number of workers."""
    count = 10 if quick else 30
    return {
        f"ten steps beside a noisy customer, workers: {workers}": await _measure(workers, count) for workers in (1, 2)
    }


async def _measure(workers: int, count: int) -> str:
    with tempfile.TemporaryDirectory() as home:
        async with run_dev_server(Path(home)) as server, AsyncExitStack() as stack:
            settings = Settings(home=Path(home), temporal_address=server.address, task_queue="bench")
            runs = Runs(await connect(settings), settings)
            for _ in range(workers):
                await stack.enter_async_context(run_worker(settings))
            small = _plan(build_sequence(10), "small")
            idle = await _measure_runs(runs, small, WARM_UP + count)
            noisy = _plan(_build_noisy(), "noisy")
            await asyncio.gather(*(runs.start(runs.prepare(noisy)) for _ in range(NOISY_RUNS)))
            await asyncio.sleep(SETTLE_SECONDS)
            busy = await _measure_runs(runs, small, WARM_UP + count)
    alone, beside = (statistics.median(times[WARM_UP:]) * 1000 for times in (idle, busy))
    return f"{alone:,.0f} ms alone, {beside:,.0f} ms beside {NOISY_RUNS} runs, {beside / alone:.1f} times"


def _plan(definition: dict[str, Any], customer: str) -> Plan:
    return check(definition | {"customer_id": customer}).require()


def _build_noisy() -> dict[str, Any]:
    """Build a definition that computes and calls nothing."""
    loop = {"id": "each", "type": "loop", "collection": NOISY_NODES, "body": ["count"]}
    loop["config"] = {"max_iterations": NOISY_NODES}
    count = {"id": "count", "type": "set", "config": {"n": "{{ item }}"}}
    return build_workflow([loop, count], [{"source": "trigger", "target": "each"}])


async def _measure_runs(runs: Runs, plan: Plan, count: int) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        started = await runs.start(runs.prepare(plan, input_data=EXAMPLE))
        await asyncio.wait_for(runs.client.get_workflow_handle(started.id).result(), WAIT_SECONDS)
        times.append(time.perf_counter() - start)
    return times
