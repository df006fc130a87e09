"""Long loops: passes a second, memory, and history for each pass, which stay the same however long the loop is."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from benchmarks.cases import LOCAL, Case, build_call, build_loop, build_workflow
from benchmarks.durable import measure_history, open_worker, run_once
from orchestrator.planner.planner import check

SAMPLE_SECONDS = 0.2
FUSED = "fused"
REGULAR = "regular"
HAND = "by hand"


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process with the worker, in MB."""

    start: float
    half: float
    end: float


@dataclass(frozen=True)
class LoopCost:
    """What a loop has cost."""

    kind: str
    passes: int
    seconds: float
    memory: Memory
    events: int
    size: int
    """Bytes of history."""

    @property
    def bytes_each(self) -> float:
        """Bytes of history for each pass."""
        return self.size / self.passes


async def measure_loops(*, quick: bool, full: bool) -> AsyncIterator[LoopCost]:
    """Yield the costs of loops of several lengths; the longest, which take hours, are measured only if `full`."""
    regular = [100, 200] if quick else [1_000, 2_000, *([10_000, 100_000] if full else [])]
    fused = [1_000, 2_000] if quick else [10_000, 100_000, *([1_000_000] if full else [])]
    async with open_worker() as client:
        await run_once(client, _build_case(REGULAR, 50), check(build_loop(50)).require())  # to warm up
        yield await measure_loop(client, HAND, regular[0])
        for passes in regular:
            yield await measure_loop(client, REGULAR, passes)
        for passes in fused:
            yield await measure_loop(client, FUSED, passes)


async def measure_loop(client: Client, kind: str, passes: int) -> LoopCost:
    """Run a loop, and measure it."""
    case = _build_case(kind, passes)
    plan = None if kind == HAND else check(case.definition).require()
    samples = [read_memory()]

    async def sample() -> None:
        while True:
            samples.append(read_memory())
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    began = time.perf_counter()
    run_id = await run_once(client, case, plan)
    seconds = time.perf_counter() - began
    sampling.cancel()
    memory = Memory(samples[0], samples[len(samples) // 2], samples[-1])
    return LoopCost(kind, passes, seconds, memory, *await measure_history(client, run_id))


def _build_case(kind: str, passes: int) -> Case:
    definition = build_fused_loop(passes) if kind == FUSED else build_loop(passes)
    return Case("fused" if kind == FUSED else "regular", kind, "HandSequence", passes, definition, 1, passes)


def build_fused_loop(passes: int) -> dict[str, Any]:
    """Build a loop over one short local step."""
    each = {"id": "each", "type": "loop", "collection": passes, "body": ["step"]}
    step = {**build_call("step", name="Step", **LOCAL), "config": {"order": "{{ item }}"}}
    return build_workflow([each, step], [{"source": "trigger", "target": "each"}])


def read_memory() -> float:
    """Return the resident memory of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
