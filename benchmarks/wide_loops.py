"""Loops over up to 100,000 items in batches: items a second, the history of the run, and the memory of the worker.

The worker is in this process, whose memory is measured at the start, half way and at the end.
"""

import asyncio
import time
from typing import Any

from temporalio.client import Client

from benchmarks.cases import build_workflow
from benchmarks.durable import QUEUE, find_first_execution, measure_history, open_worker
from benchmarks.long_loops import read_memory
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client.runs import Runs

AT_ONCE = 50
POLL_SECONDS = 0.5


async def measure_wide_loops(*, quick: bool, full: bool) -> dict[str, str]:
    """Return the figures of a loop with a fused body, and of one with regular actions, as long if `full`."""
    fused = 10_000 if quick else 100_000
    counts = {"fused": fused, "regular": fused if full else fused // 10}
    figures = {}
    async with open_worker() as client:
        for kind, count in counts.items():
            execution = "local" if kind == "fused" else "activity"
            figures[f"{count:,} items, {kind}"] = await _measure(client, count, execution)
    return figures


async def _measure(client: Client, count: int, execution: str) -> str:
    runs = Runs(client, Settings(task_queue=QUEUE))
    plan = check(_build_definition(count, execution)).require()
    memory = [read_memory()]
    began = time.perf_counter()
    started = await runs.start(runs.prepare(plan))
    handle = client.get_workflow_handle(started.id)
    end = asyncio.create_task(handle.result())
    while not end.done():
        await asyncio.wait({end}, timeout=POLL_SECONDS)
        memory.append(read_memory())
    result = end.result()
    seconds = time.perf_counter() - began
    if result["output"]["done"] != count:
        raise AssertionError(result)
    events = await _count_own_events(client, started.id)
    all_events, size = await measure_history(client, started.id)
    megabytes = [round(memory[position]) for position in (0, len(memory) // 2, -1)]
    return (
        f"{count / seconds:,.0f} a second, {events:,} events of the run, {all_events:,} with its batches,"
        f" {size / count:,.0f} bytes an item, memory {megabytes[0]}, {megabytes[1]}, {megabytes[2]} MB"
    )


def _build_definition(count: int, execution: str) -> dict[str, Any]:
    each = {"id": "each", "type": "loop", "collection": count, "body": ["work"], "config": {"max_concurrency": AT_ONCE}}
    work: dict[str, Any] = {"id": "work", "type": "action", "action": "bench.echo", "execution": execution}
    work["config"] = {"order": "{{ item }}", "url": "", "json": {}, "text": ""}
    done = {"id": "done", "type": "set", "config": {"done": "{{ steps.each.output.succeeded }}"}}
    edges = [{"source": "trigger", "target": "each"}, {"source": "each", "target": "done"}]
    return build_workflow([each, work, done], edges)


async def _count_own_events(client: Client, run_id: str) -> int:
    """Count the events of all executions of the run itself."""
    events, execution = 0, await find_first_execution(client, run_id)
    while execution:
        history = await client.get_workflow_handle(run_id, run_id=execution).fetch_history()
        events += len(history.events)
        execution = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return events
