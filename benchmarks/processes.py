"""Run a command of the orchestrator in a process of its own, as in production."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from orchestrator.settings import Settings

START_SECONDS = 300.0


@asynccontextmanager
async def run_command(
    command: str, settings: Settings, environment: Mapping[str, str], ready: str
) -> AsyncIterator[str]:
    """Run a command; yield the rest of its first line, which begins with `ready`."""
    environment = {
        **os.environ,
        "ORCHESTRATOR_TEMPORAL_ADDRESS": settings.temporal_address,
        "ORCHESTRATOR_TASK_QUEUE": settings.task_queue,
        "ORCHESTRATOR_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.cli", command, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), START_SECONDS)).decode()
        assert line.startswith(ready), line
        yield line.removeprefix(ready).strip()
    finally:
        process.terminate()
        await process.wait()


def run_worker(settings: Settings) -> AbstractAsyncContextManager[str]:
    """Run a worker with the action of the benchmarks."""
    return run_command("worker", settings, {"ORCHESTRATOR_ACTION_MODULES": "benchmarks.cases"}, "worker polls ")
