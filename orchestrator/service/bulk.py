"""Do one operation on all runs of a filter: as a durable job with a pace, progress, a stop, and a report of outcomes.

It takes the runs that had started when the job did, so never its own reruns, and that match when their turn comes: one
that has ceased to match by then is left out. The outcome of a run is recorded as it comes, and a run that has one is
not operated again; one that was under way in a crash is. A run that cannot be reached does not hold up the others,
unless Temporal or the database is unavailable as a whole: then the batch is tried again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from orchestrator.errors import OperationRefused, OrchestratorError, RunNotFound, ServerUnavailable
from orchestrator.model.run import RunSummary, format_timestamp
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.service.background import run_in_background
from orchestrator.service.migrations import Migrations, VersionReached
from orchestrator.service.reruns import Reruns
from orchestrator.service.runs import Operations
from orchestrator.store.bulk_jobs import (
    COMPLETED,
    DONE,
    FAILED,
    REFUSED,
    STOPPED,
    UNREACHABLE,
    BulkItem,
    BulkJob,
    BulkJobs,
    BulkReport,
)
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.run_filter import RunFilter
from orchestrator.temporal.bulk import IsStopped, name_bulk_queue, run_bulk_worker, start_bulk, stop_bulk
from orchestrator.temporal.client.connection import translate_rpc_errors

logger = logging.getLogger(__name__)
BulkOperation = Literal["cancel", "terminate", "pause", "resume", "resolve", "rerun", "send", "migrate"]
MAX_BATCH = 20
AT_ONCE = 5
PAUSE_PACE = 50
OPEN = ("pending", "running", "waiting", "retrying")
ATTEMPTS = 2
"""Attempts to reach a run, while Temporal answers."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How often a process looks for jobs that another one has started, or that a crash has left."""
UNAVAILABLE = (ServerUnavailable, StoreUnavailable)


class NoMatchingRun(OperationRefused):
    """No run matches the filter."""


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """A job and what came of it so far."""

    job: BulkJob
    report: BulkReport


class Bulk:
    """The jobs of all customers, and the worker that does them while there are any."""

    def __init__(self, jobs: BulkJobs, operations: Operations, reruns: Reruns, migrations: Migrations) -> None:
        self.jobs = jobs
        self.operations = operations
        self.reruns = reruns
        self.migrations = migrations
        self.client = operations.runs.client
        self.queue = name_bulk_queue(operations.runs.settings.task_queue)
        self._wakeup = asyncio.Event()

    async def start(
        self,
        customer_id: str | None,
        operation: BulkOperation,
        wanted: RunFilter,
        options: Mapping[str, Any],
        *,
        actor: str,
        pace: int,
    ) -> BulkJob:
        """Start a job; raises FilterTooWide and NoMatchingRun."""
        now = datetime.now(UTC)
        fixed = replace(wanted, until=now if wanted.until is None else min(wanted.until, now))
        total = await self._count(customer_id, fixed)
        if total == 0:
            raise NoMatchingRun("no run matches the filter")
        job = BulkJob(operation, fixed.to_json(), dict(options), actor, pace, total, customer_id or "", created_at=now)
        await self.jobs.add(job)
        try:
            await self._ensure_workflow(job)
        except ServerUnavailable as error:  # the job is stored: the background worker starts it
            logger.warning("bulk job %s will be started later: %s", job.id, error)
        self._wakeup.set()
        return job

    async def pause_runs(self, customer_id: str, workflow_id: str, *, actor: str) -> BulkJob | None:
        """Start a job that pauses the open runs of a workflow; return `None` where there are none."""
        wanted = RunFilter(workflow_id=workflow_id, statuses=OPEN)
        try:
            return await self.start(customer_id, "pause", wanted, {}, actor=actor, pace=PAUSE_PACE)
        except NoMatchingRun:
            return None

    async def preview(self, customer_id: str | None, wanted: RunFilter, limit: int) -> tuple[int, list[RunSummary]]:
        """Return how many runs match a filter, and the newest of them."""
        total = await self._count(customer_id, wanted)
        return total, await self.operations.list_runs(customer_id, wanted, limit=limit)

    async def _count(self, customer_id: str | None, wanted: RunFilter) -> int:
        return sum((await self.operations.count_runs(customer_id, wanted)).by_status.values())

    async def get(self, customer_id: str | None, job_id: str) -> BulkStatus:
        """Return a job with its report; raises BulkJobNotFound."""
        job = await self.jobs.get(customer_id, job_id)
        return BulkStatus(job, await self.jobs.report(job_id))

    async def list_items(
        self, customer_id: str | None, job_id: str, outcome: str | None = None, *, after: str = "", limit: int = 50
    ) -> list[BulkItem]:
        """List what came of each run of a job; raises BulkJobNotFound."""
        await self.jobs.get(customer_id, job_id)
        return await self.jobs.list_items(job_id, outcome, after=after, limit=limit)

    async def stop(self, customer_id: str | None, job_id: str) -> None:
        """Stop a job after the runs that are under way; raises BulkJobNotFound."""
        await self.jobs.get(customer_id, job_id)
        async with translate_rpc_errors():
            await stop_bulk(self.client, job_id)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Do jobs for the duration of the context."""
        async with run_in_background(self._work(), "bulk jobs"):
            yield

    async def _work(self) -> None:
        while True:
            try:
                await self._work_while_needed()
            except UNAVAILABLE as error:
                logger.warning("bulk jobs: unavailable, trying again: %s", error)
            except Exception:
                logger.exception("bulk jobs: failed, trying again")
            await self._pause()

    async def _work_while_needed(self) -> None:
        """Run a worker as long as there are jobs: without any it would poll for nothing."""
        running = await self.jobs.list_running()
        if not running:
            return
        for job_id in running:
            await self._ensure_workflow(await self.jobs.get(None, job_id))
        async with run_bulk_worker(self.client, self.queue, self.apply, self.finish):
            while await self.jobs.list_running():
                await self._pause()

    async def _pause(self) -> None:
        self._wakeup.clear()
        with contextlib.suppress(TimeoutError):
            # Not `asyncio.wait_for`: in Python 3.11 it loses a cancellation that comes in the moment of the wakeup.
            async with asyncio.timeout(LOOK_SECONDS):
                await self._wakeup.wait()

    async def _ensure_workflow(self, job: BulkJob) -> None:
        """Start the workflow of a job, unless it has been started: a crash may come between the two."""
        async with translate_rpc_errors():
            await start_bulk(self.client, self.queue, job.id, _count_batch(job.pace) / job.pace)

    async def apply(self, job_id: str, position: Sequence[Any], is_stopped: IsStopped) -> list[Any] | None:
        """Operate the next runs of a job; return the position after them, or `None` at the end or when stopped."""
        job = await self.jobs.get(None, job_id)
        after = (datetime.fromisoformat(position[0]), position[1]) if position else ()
        selected = RunFilter.from_json(job.selection)
        size = _count_batch(job.pace)
        found = await self.operations.list_runs(job.customer_id or None, selected, after=after, limit=size)
        done = await self.jobs.find_done(job_id, [run.id for run in found])
        todo = [run for run in found if run.id not in done]
        for at in range(0, len(todo), AT_ONCE):
            if is_stopped():
                return None
            await self._operate_group(job, todo[at : at + AT_ONCE])
        if len(found) < size:
            return None
        return [format_timestamp(found[-1].started_at), found[-1].id]

    async def _operate_group(self, job: BulkJob, group: Sequence[RunSummary]) -> None:
        """Operate runs at once; raises the first error after all have come to their end."""

        async def operate(run: RunSummary) -> None:
            await self.jobs.add_items(job.id, [await self._operate(job, run)])

        for result in await asyncio.gather(*map(operate, group), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def finish(self, job_id: str, stopped: bool) -> None:
        """Record the end of a job."""
        await self.jobs.end(job_id, STOPPED if stopped else COMPLETED)
        self._wakeup.set()

    async def _operate(self, job: BulkJob, run: RunSummary) -> BulkItem:
        try:
            new_run_id = await self._reach(job, run)
        except StoreUnavailable:  # the batch is tried again
            raise
        except ServerUnavailable as error:
            await self.operations.runs.check()  # raises where Temporal is unavailable for all: the batch is tried again
            return BulkItem(run.id, UNREACHABLE, str(error))
        except (OperationRefused, RunNotFound) as error:
            return BulkItem(run.id, REFUSED, str(error))
        except OrchestratorError as error:
            return BulkItem(run.id, FAILED, str(error))
        except Exception as error:
            logger.exception("bulk job %s cannot %s run %s", job.id, job.operation, run.id)
            return BulkItem(run.id, FAILED, f"{type(error).__name__}: {error}")
        return BulkItem(run.id, DONE, new_run_id=new_run_id)

    async def _reach(self, job: BulkJob, run: RunSummary) -> str | None:
        """Operate a run; where it cannot be reached, once more."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await OPERATIONS[job.operation](self, job, run)
            except ServerUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
        return await OPERATIONS[job.operation](self, job, run)

    async def _cancel(self, job: BulkJob, run: RunSummary) -> None:
        await self.operations.cancel(run.customer_id, run.id, job.options.get("reason", ""), by=job.actor)

    async def _terminate(self, job: BulkJob, run: RunSummary) -> None:
        await self.operations.terminate(run.customer_id, run.id, job.options.get("reason", ""), by=job.actor)

    async def _pause_run(self, job: BulkJob, run: RunSummary) -> None:
        # Not refused where it is paused: a batch that is tried again has paused some of its runs before.
        await self.operations.runs.pause(run.id, by=job.actor)

    async def _resume(self, job: BulkJob, run: RunSummary) -> None:
        await self.operations.resume(run.customer_id, run.id, by=job.actor)

    async def _resolve(self, job: BulkJob, run: RunSummary) -> None:
        node_id = job.options.get("node_id") or run.node_id
        if node_id is None:
            raise OperationRefused("no step of this run waits for an operator")
        await self.operations.resolve(run.customer_id, run.id, node_id, job.options["action"], by=job.actor)

    async def _rerun(self, job: BulkJob, run: RunSummary) -> str:
        changes = Changes(Target(job.options.get("from_node")))
        started = await self.reruns.start(
            run.customer_id, run.id, changes, version=job.options.get("version"), key=f"bulk:{job.id}"
        )
        return started.id

    async def _send(self, job: BulkJob, run: RunSummary) -> None:
        name, payload = job.options["event"], job.options.get("payload")
        await self.operations.send_event(run.customer_id, run.id, name, payload, f"bulk:{job.id}:{run.id}")

    async def _migrate(self, job: BulkJob, run: RunSummary) -> None:
        version, renamed = job.options["version"], job.options.get("map", {})
        with contextlib.suppress(VersionReached):  # a batch that is tried again has moved some of its runs before
            reason = job.options.get("reason", "")
            await self.migrations.start(run.customer_id, run.id, version, renamed, reason=reason, by=job.actor)


OPERATIONS: Mapping[str, Callable[[Bulk, BulkJob, RunSummary], Awaitable[str | None]]] = {
    "cancel": Bulk._cancel,
    "terminate": Bulk._terminate,
    "pause": Bulk._pause_run,
    "resume": Bulk._resume,
    "resolve": Bulk._resolve,
    "rerun": Bulk._rerun,
    "send": Bulk._send,
    "migrate": Bulk._migrate,
}
if set(OPERATIONS) != set(get_args(BulkOperation)):
    raise AssertionError("each operation has a function")


def _count_batch(pace: int) -> int:
    """Return how many runs one batch takes: those of a second, at most."""
    return max(1, min(pace, MAX_BATCH))
