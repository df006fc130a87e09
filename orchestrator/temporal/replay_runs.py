"""Replay many runs of a namespace with the current code, in several processes: the gate before a deployment.

Workflow code holds the interpreter's lock, so threads would replay one run at a time. A history is read once and sent
to the process that replays it; only a few are in memory.
"""

import asyncio
import multiprocessing
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from temporalio.api.history.v1 import History
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.visibility import Execution
from orchestrator.temporal.history.histories import Histories
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

MAX_PROCESSES = 8
BATCH_BYTES = 1_000_000
BATCH_SIZE = 20
"""Histories that a process takes at once: starting a replay takes about as long as a short run takes to replay."""

Batch = list[tuple[str, bytes]]
"""Workflow IDs and their encoded histories."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A run that does what its history does not say."""

    workflow_id: str
    message: str


@dataclass(slots=True)
class ReplayCount:
    """How far the replay of many runs has come."""

    replayed: int = 0
    gone: int = 0
    """Runs that Temporal no longer stores."""


def choose_sample(executions: Sequence[Execution], size: int) -> list[Execution]:
    """Return some executions at random, of each workflow as many as of any other as far as it has them."""
    by_type: dict[str, list[Execution]] = {}
    for each in random.sample(executions, len(executions)):
        by_type.setdefault(each.workflow_type, []).append(each)
    chosen: list[Execution] = []
    while len(chosen) < size and by_type:
        for name in list(by_type):
            chosen.append(by_type[name].pop())
            if not by_type[name]:
                del by_type[name]
    return chosen[:size]


async def replay_runs(
    client: Client, executions: Sequence[Execution], report: Callable[[ReplayCount], None], count: ReplayCount
) -> Mismatch | None:
    """Replay executions until one does not fit its history; return the first such one.

    `report` is called with the count after each batch.
    """
    processes = min(MAX_PROCESSES, os.cpu_count() or 1, max(len(executions), 1))
    context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of the client
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: dict[asyncio.Future[Mismatch | None], int] = {}

        async def collect(limit: int) -> Mismatch | None:
            """Wait until at most this many batches are running."""
            while len(running) > limit:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    count.replayed += running.pop(each)
                    if (mismatch := each.result()) is not None:
                        return mismatch
                report(count)
            return None

        try:
            async for batch in _read_batches(Histories(client), executions, count):
                running[loop.run_in_executor(pool, replay_batch, batch)] = len(batch)
                if (mismatch := await collect(processes)) is not None:
                    return mismatch
            return await collect(0)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


async def _read_batches(
    histories: Histories, executions: Sequence[Execution], count: ReplayCount
) -> AsyncIterator[Batch]:
    batch: Batch = []
    size = 0
    for each in executions:
        try:
            async with translate_rpc_errors():
                history = await histories.fetch(each.workflow_id, each.run_id)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            count.gone += 1
            continue
        batch.append((each.workflow_id, history))
        size += len(history)
        if len(batch) == BATCH_SIZE or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def replay_batch(batch: Batch) -> Mismatch | None:
    """Replay histories in this process; return the first that does not fit."""
    return asyncio.run(_replay_all(batch))


async def _replay_all(batch: Batch) -> Mismatch | None:
    async def iterate() -> AsyncIterator[WorkflowHistory]:
        for each in _decode(batch):
            yield each

    # Without the sandbox, as in workers; deadlock detection goes by the clock, and the machine may be busy.
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True)
    async with replayer.workflow_replay_iterator(iterate()) as results:
        async for result in results:
            if result.replay_failure is not None:
                return Mismatch(result.history.workflow_id, str(result.replay_failure))
    return None


def _decode(batch: Batch) -> Iterator[WorkflowHistory]:
    for workflow_id, history in batch:
        yield WorkflowHistory(workflow_id, History.FromString(history).events)
