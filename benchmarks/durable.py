"""Runs on the tuned embedded server: ours and hand-written in turn, in one process, on one worker."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.registry import Registry
from activities.runtime import build_activities
from api.serve import exclude_startup_from_collection
from benchmarks.cases import EXAMPLE, WORKFLOWS, Case, echo, hand_chain, hand_echo, list_cases
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.fair_executor import FairExecutor
from orchestrator.temporal.worker import EAGER_ACTIVITIES, STICKY_SECONDS, build_tuner, list_activities
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

QUEUE = "bench"
SETTINGS = Settings(task_queue=QUEUE)
"""Read once, as in production: reading them takes 2 ms, a tenth of a run of one step."""


@dataclass(frozen=True)
class Cost:
    """The cost of a run."""

    seconds: float
    """Median of the measurements."""
    events: int
    size: int
    """Bytes of history, including children."""


@dataclass(frozen=True)
class Compared:
    """Our run compared with the hand-written one."""

    case: Case
    ours: Cost
    hand: Cost
    ratio: float
    """Median of the ratios of neighbouring measurements."""


async def compare_all(quick: bool) -> list[Compared]:
    """Measure every case."""
    async with open_worker() as client:
        return [await compare_case(client, case) for case in list_cases(quick)]


@asynccontextmanager
async def open_worker() -> AsyncIterator[Client]:
    """Open a server and a worker for definitions and hand-written workflows; yield a client."""
    registry = Registry()
    registry.add(echo.__orchestrator_action__)  # type: ignore[attr-defined]  # set by @action
    with tempfile.TemporaryDirectory() as home:
        async with run_dev_server(Path(home)) as server:
            settings = Settings(temporal_address=server.address)
            client = await connect(settings)
            activities = build_activities(registry, settings)
            async with Worker(
                client,
                task_queue=QUEUE,
                workflows=[RunWorkflow, *WORKFLOWS],
                activities=[*list_activities(registry, activities), hand_echo, hand_chain],
                workflow_runner=UnsandboxedWorkflowRunner(),
                workflow_task_executor=FairExecutor(),
                tuner=build_tuner(settings),
                max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=STICKY_SECONDS),
            ):
                with exclude_startup_from_collection():  # as the commands that serve do
                    yield client


async def compare_case(client: Client, case: Case) -> Compared:
    """Measure one case, ours and hand-written in turn; the first round warms up."""
    plan = check(case.definition).require()
    ours: list[float] = []
    hand: list[float] = []
    for repeat in range(case.repeats + 1):
        # The second of a pair may find warmer caches: take turns.
        order = (True, False) if repeat % 2 else (False, True)
        for mine in order:
            (ours if mine else hand).append(await measure_case(client, case, plan if mine else None))
    ratios = [one / other for one, other in zip(ours[1:], hand[1:], strict=True)]
    run_id = await run_once(client, case, plan)
    await require_right_result(client, case, run_id)
    return Compared(
        case,
        Cost(statistics.median(ours[1:]), *await measure_history(client, run_id)),
        Cost(statistics.median(hand[1:]), *await measure_history(client, await run_once(client, case, None))),
        statistics.median(ratios),
    )


async def measure_case(client: Client, case: Case, plan: Plan | None) -> float:
    """Return the seconds per run of one measurement."""
    limit = asyncio.Semaphore(case.at_once)

    async def run_one() -> None:
        async with limit:
            await run_once(client, case, plan)

    start = time.perf_counter()
    await asyncio.gather(*(run_one() for _ in range(case.runs)))
    return (time.perf_counter() - start) / case.runs


async def run_once(client: Client, case: Case, plan: Plan | None) -> str:
    """Run once to completion and return the run id."""
    run_id = str(uuid4())
    runs = Runs(client, SETTINGS)
    if plan is not None:
        await runs.start(runs.prepare(plan, input_data=EXAMPLE, run_id=run_id))
        await client.get_workflow_handle(run_id).result()
        return run_id
    await client.execute_workflow(
        case.hand,
        {"count": case.count, "data": EXAMPLE},
        id=run_id,
        task_queue=QUEUE,
        static_summary="Bench",
        request_eager_start=True,
    )
    return run_id


async def require_right_result(client: Client, case: Case, run_id: str) -> None:
    """Raise AssertionError where a run has done other work than it was given."""
    run = await Runs(client, SETTINGS).reader.read_document(run_id)
    assert (run.status, run.complete) == ("completed", True), (case.name, run.status, run.error)
    assert run.steps_completed >= case.nodes, (case.name, run.steps_completed)
    outputs = [step.output_data for step in run.steps if step.node_id.startswith("s")]
    assert outputs, case.name
    assert all(output == EXAMPLE for output in outputs), (case.name, outputs)


async def measure_history(client: Client, run_id: str) -> tuple[int, int]:
    """Count the history events and bytes of a run, including children and continuations."""
    events, size = 0, 0
    waiting: list[tuple[str, str | None]] = [(run_id, await find_first_execution(client, run_id))]
    while waiting:
        name, execution = waiting.pop()
        history = await client.get_workflow_handle(name, run_id=execution).fetch_history()
        for event in history.events:
            events += 1
            size += event.ByteSize()
            if event.HasField("child_workflow_execution_started_event_attributes"):
                child = event.child_workflow_execution_started_event_attributes.workflow_execution
                waiting.append((child.workflow_id, child.run_id))
            if event.HasField("workflow_execution_continued_as_new_event_attributes"):
                new = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                waiting.append((name, new))
    return events, size


async def find_first_execution(client: Client, run_id: str) -> str:
    """Return the id of the first execution of a run."""
    async for event in client.get_workflow_handle(run_id).fetch_history_events(page_size=1):
        return event.workflow_execution_started_event_attributes.first_execution_run_id
    raise LookupError(run_id)
