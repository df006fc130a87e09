"""The workflow of an operation on many runs: stopped at once, and continued by another worker after a crash."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from orchestrator.temporal import bulk
from orchestrator.temporal.bulk import IsStopped, run_bulk_worker, start_bulk, stop_bulk
from tests.temporal.world import World, wait_until

pytestmark = pytest.mark.temporal


class Job:
    """A job with one batch, which lasts as its test says."""

    def __init__(self) -> None:
        self.id = uuid4().hex
        self.attempts = 0
        self.ended: list[bool] = []

    async def has_begun(self) -> bool:
        return self.attempts > 0

    async def has_ended(self) -> bool:
        return bool(self.ended)

    async def finish(self, job_id: str, stopped: bool) -> None:
        self.ended.append(stopped)


async def test_a_stop_ends_the_batch_after_the_runs_under_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for the whole batch, which may take minutes where runs cannot be reached."""
    monkeypatch.setattr(bulk, "HEARTBEAT_TIMEOUT", timedelta(minutes=2))
    job = Job()
    completed: list[str] = []

    async def apply(job_id: str, position: list[Any], is_stopped: IsStopped) -> None:
        job.attempts += 1
        while not is_stopped():
            await asyncio.sleep(0.01)
        completed.append(job_id)

    async with run_bulk_worker(world.client, "bulk-stop", apply, job.finish):
        await start_bulk(world.client, "bulk-stop", job.id, 1.0)
        await wait_until(job.has_begun)
        await stop_bulk(world.client, job.id)
        await wait_until(job.has_ended)

    assert job.ended == [True]
    assert (job.attempts, completed) == (1, [job.id])


async def test_a_worker_of_jobs_ends_although_its_end_is_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left to itself while the service closed the database."""
    workers: list[Worker] = []

    class KeptWorker(Worker):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            workers.append(self)

    monkeypatch.setattr(bulk, "Worker", KeptWorker)
    may_end = asyncio.Event()

    async def apply(job_id: str, position: list[Any], is_stopped: IsStopped) -> None:
        """No job is started."""

    async def serve() -> None:
        async with run_bulk_worker(world.client, "bulk-end", apply, Job().finish):
            await may_end.wait()

    async def has_started() -> bool:
        return bool(workers) and workers[0].is_running

    serving = asyncio.create_task(serve())
    await wait_until(has_started)
    may_end.set()
    for _ in range(3):  # turns of the event loop: the worker has been told to end
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert workers[0].is_shutdown


@pytest.mark.slow
async def test_a_batch_whose_worker_is_gone_is_done_again_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job stood still for five minutes, the limit of a batch."""
    job = Job()
    beats = bulk._send_heartbeats

    async def apply(job_id: str, position: list[Any], is_stopped: IsStopped) -> None:
        job.attempts += 1
        if job.attempts == 1:
            await asyncio.Event().wait()

    async def send_none_at_first() -> None:
        if job.attempts > 1:
            await beats()

    monkeypatch.setattr(bulk, "_send_heartbeats", send_none_at_first)
    async with run_bulk_worker(world.client, "bulk-crash", apply, job.finish):
        await start_bulk(world.client, "bulk-crash", job.id, 1.0)
        await wait_until(job.has_ended)

    assert (job.attempts, job.ended) == (2, [False])
