"""Thousands of timers that are due at one moment do not jam the embedded server."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.worker import set_deadlock_timeout
from tests.scale import scale

pytestmark = [pytest.mark.temporal, pytest.mark.slow]
TIMERS = scale(600)
START_SECONDS = 30
DRAIN_SECONDS = 300


@workflow.defn
class SleepUntil:
    @workflow.run
    async def run(self, due: datetime) -> None:
        await workflow.sleep(max(due - workflow.now(), timedelta(milliseconds=1)))


@pytest.mark.long
async def test_timers_due_at_one_moment_drain(tmp_path: Path) -> None:
    """With the server's default of 512 workers about one run ended in a second: the rest passed their deadlines."""
    due = datetime.now(UTC) + timedelta(seconds=START_SECONDS)
    async with run_dev_server(tmp_path) as server:
        client = await Client.connect(server.address)
        runner = UnsandboxedWorkflowRunner()
        worker = Worker(client, task_queue="timers", workflows=[SleepUntil], workflow_runner=runner)
        set_deadlock_timeout(worker)
        async with worker:
            slots = asyncio.Semaphore(50)

            async def start(number: int) -> None:
                async with slots:
                    await client.start_workflow(SleepUntil.run, due, id=f"timer-{number}", task_queue="timers")

            await asyncio.gather(*map(start, range(TIMERS)))
            async with asyncio.timeout(START_SECONDS + DRAIN_SECONDS):
                while (await client.count_workflows("ExecutionStatus = 'Completed'")).count < TIMERS:
                    await asyncio.sleep(1)
