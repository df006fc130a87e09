"""Pause, cancel and read a run that is in a loop of 100,000 fused steps: nothing reaches it while a segment runs.

The worker is a process of its own, as in production.
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from temporalio.client import WorkflowFailureError

from benchmarks.cases import EXAMPLE, LOCAL, build_loop
from benchmarks.processes import run_worker
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server

PASSES = 100_000
FEW = 1_000
"""Passes after which a run is interrupted: several segments."""
WAIT_SECONDS = 120.0


async def measure_interruptions(quick: bool) -> dict[str, str]:
    """Return how long it takes to read, pause and cancel a run: until its document shows it, or until it has ended."""
    definition = build_loop(PASSES, **LOCAL)
    plan = check(definition | {"settings": {"step_log_limit": 100}}).require()
    times: dict[str, list[float]] = {"read": [], "pause": [], "cancel": []}
    with tempfile.TemporaryDirectory() as home:
        async with run_dev_server(Path(home)) as server:
            settings = Settings(home=Path(home), temporal_address=server.address, task_queue="bench")
            runs = Runs(await connect(settings), settings)
            async with run_worker(settings):
                for _ in range(1 if quick else 20):
                    started = await runs.start(runs.prepare(plan, input_data=EXAMPLE))
                    await _interrupt(runs, started.id, times)
    return {f"{name} in a loop of {PASSES:,} fused": _describe(each) for name, each in times.items()}


async def _interrupt(runs: Runs, run_id: str, times: dict[str, list[float]]) -> None:
    async def read() -> Run:
        return await runs.reader.read_document(run_id)

    run = await _wait_for(read, lambda run: run.steps_completed >= FEW)
    start = time.perf_counter()
    await read()
    times["read"].append(time.perf_counter() - start)

    start = time.perf_counter()
    await runs.pause(run_id)
    run = await _wait_for(read, lambda run: any(wait["kind"] == "paused" for wait in run.waiting_for))
    times["pause"].append(time.perf_counter() - start)

    await runs.resume(run_id)
    await _wait_for(read, lambda now: now.steps_completed >= run.steps_completed + FEW)
    start = time.perf_counter()
    await runs.cancel(run_id)
    with contextlib.suppress(WorkflowFailureError):
        await asyncio.wait_for(runs.client.get_workflow_handle(run_id).result(), WAIT_SECONDS)
    times["cancel"].append(time.perf_counter() - start)
    run = await read()
    assert (run.status, run.complete) == ("cancelled", True), run.status
    assert run.steps_completed < PASSES


async def _wait_for(read: Callable[[], Awaitable[Run]], is_reached: Callable[[Run], bool]) -> Run:
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_reached(run := await read()):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.02)
    return run


def _describe(times: list[float]) -> str:
    slowest = sorted(times)[int(len(times) * 0.95) - 1 if len(times) > 1 else 0]
    return f"p50 {statistics.median(times):.2f} s, p95 {slowest:.2f} s"
