"""A history is read once for each of its lengths, in time or not at all."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    WorkflowExecutionDescription,
)
from temporalio.common import TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import Run, StepDocument
from orchestrator.simulator.simulate import EPOCH
from orchestrator.temporal.client import flow_reader
from orchestrator.temporal.client.flow_reader import FlowReader, read_in_thread
from orchestrator.temporal.client.run_reader import RunReader
from orchestrator.temporal.history.reader import FlowReading
from tests.temporal.world import SECONDS, World, make_plan, wait_until


class Described:
    """What Temporal says of an execution."""

    typed_search_attributes = TypedSearchAttributes.empty

    def __init__(self, workflow_id: str, history_length: int, run_id: str) -> None:
        self.id = workflow_id
        self.run_id = run_id
        self.history_length = history_length


class StoredHistories:
    """Histories of a few bytes."""

    async def fetch(self, workflow_id: str, execution: str) -> bytes:
        return b"12345"


class Executions:
    """Executions of a run, the oldest first: each has two steps, and continues the one before."""

    def __init__(self, count: int, *, stored: int | None = None, drops: Sequence[tuple[str, int]] = ()) -> None:
        self.count = count
        self.stored = count if stored is None else stored
        self.drops = list(drops)
        """Where the latest execution went back."""
        self.fetched: list[str] = []

    async def fetch(self, workflow_id: str, execution: str) -> bytes:
        if int(execution) < self.count - self.stored:
            raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")
        self.fetched.append(execution)
        return execution.encode()

    async def read(self, customer_id: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
        ((workflow_id, history),) = histories
        index = int(history)
        numbers = [2 * index + 1, 2 * index + 2]
        if index:
            numbers.insert(0, 1)  # the loop around them is in progress
        steps = [make_step("each" if number == 1 else f"each[{number}]/a", index) for number in numbers]
        run = Run(id=workflow_id, workflow_id="w", workflow_version=1, status="running", steps=steps)
        is_latest = index == self.count - 1
        return [
            FlowReading(
                run,
                [],
                numbers=numbers,
                drops=self.drops if is_latest else [],
                step_limit=10,
                continues=str(index - 1) if index else "",
            )
        ]


def make_step(step_id: str, index: int) -> StepDocument:
    path = step_id.rpartition("/")[0]
    return StepDocument(
        id=step_id, node_id="a", path=path, status="running", started_at=EPOCH, warnings=[f"read in {index}"]
    )


def read_executions(executions: Executions) -> FlowReader:
    reader = FlowReader(cast(Client, None), executions.read)
    reader.histories = cast(Any, executions)
    return reader


class CountedReads:
    """Counts what is read, and waits for a gate."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, customer_id: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
        await self.gate.wait()
        self.read += [workflow_id for workflow_id, _ in histories]
        run = Run(id=self.read[-1], workflow_id="w", workflow_version=1, status="running")
        return [FlowReading(run, [])]


def make_reader(reads: CountedReads) -> FlowReader:
    reader = FlowReader(cast(Client, None), reads)
    reader.histories = cast(Any, StoredHistories())
    return reader


def describe(workflow_id: str, history_length: int = 10, execution: str = "execution") -> WorkflowExecutionDescription:
    return cast(WorkflowExecutionDescription, Described(workflow_id, history_length, execution))


async def test_the_steps_of_all_executions_are_joined() -> None:
    executions = Executions(3)
    reading = await read_executions(executions).read(describe("r", execution="2"))

    assert [step.id for step in reading.run.steps] == ["each", *(f"each[{number}]/a" for number in range(2, 7))]
    # The latest execution knows best how a step went on that was in progress before.
    assert reading.run.steps[0].warnings == ["read in 2"]
    assert reading.run.complete


async def test_no_more_executions_are_read_than_the_document_keeps_steps_and_each_once() -> None:
    executions = Executions(1_000)
    reader = read_executions(executions)
    reading = await reader.read(describe("r", execution="999"))

    assert [step.id for step in reading.run.steps] == [f"each[{number}]/a" for number in range(1_991, 2_001)]
    assert executions.fetched == ["999", "998", "997", "996", "995"]

    await reader.read(describe("r", 11, execution="999"))

    assert executions.fetched[5:] == ["999"]


async def test_a_document_is_incomplete_where_an_earlier_execution_is_no_longer_stored() -> None:
    reading = await read_executions(Executions(3, stored=2)).read(describe("r", execution="2"))

    assert [step.id for step in reading.run.steps] == ["each", *(f"each[{number}]/a" for number in range(3, 7))]
    assert not reading.run.complete


async def test_steps_that_a_later_execution_has_gone_back_over_are_off_the_record() -> None:
    reading = await read_executions(Executions(3, drops=[("", 4)])).read(describe("r", execution="2"))

    assert [step.id for step in reading.run.steps] == ["each", "each[2]/a", "each[3]/a", "each[5]/a", "each[6]/a"]


async def test_many_who_watch_a_run_cost_one_reading() -> None:
    reads = CountedReads()
    reader = make_reader(reads)
    watching = [asyncio.create_task(reader.read(describe("r"))) for _ in range(100)]
    await asyncio.sleep(0)
    reads.gate.set()
    readings = await asyncio.gather(*watching)
    await reader.read(describe("r"))

    assert reads.read == ["r"]
    assert len({id(reading) for reading in readings}) == 1

    await reader.read(describe("r", 16))

    assert reads.read == ["r", "r"]


async def test_a_reading_that_takes_too_long_is_there_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_reader, "READ_SECONDS", 0.01)
    reads = CountedReads()
    reader = make_reader(reads)
    with pytest.raises(ServerUnavailable, match="the history of r cannot be read in time"):
        await reader.read(describe("r"))
    reads.gate.set()
    monkeypatch.setattr(flow_reader, "READ_SECONDS", 60)

    assert (await reader.read(describe("r"))).run.id == "r"
    assert reads.read == ["r"]


async def test_the_oldest_readings_are_evicted_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_reader, "MAX_CACHED_BYTES", 12)
    reads = CountedReads()
    reads.gate.set()
    reader = make_reader(reads)
    for workflow_id in ("a", "b", "c", "c", "a"):
        await reader.read(describe(workflow_id))

    assert reads.read == ["a", "b", "c", "a"]


class _QueryCounter(Interceptor):
    """Counts the queries that a client sends to workers."""

    def __init__(self) -> None:
        self.queries = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK names it
        counter = self

        class Counting(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002 - as above
                counter.queries += 1
                return await super().query_workflow(input)

        return Counting(next)


@pytest.mark.temporal
async def test_a_hundred_who_watch_a_run_ask_no_worker_and_read_its_history_once_for_each_change(world: World) -> None:
    customer, _ = world.script()
    nodes = {"before": "work", "ask": {"type": "wait", "config": {"event": "go"}}, "after": "work"}
    run_id = await world.start(
        make_plan(nodes, "trigger -> before", "before -> ask", "ask -> after", customer=customer)
    )
    counter, read = _QueryCounter(), list[int]()
    reader = RunReader(Client(**{**world.client.config(), "interceptors": [counter]}), world.runs.settings)

    async def read_counted(customer_id: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
        read.extend(len(history) for _, history in histories)
        return await read_in_thread(customer_id, histories)

    reader.flows.read_flows = read_counted
    waiting = 0

    async def watch() -> str:
        nonlocal waiting
        status, has_waited = "", False
        async for run in reader.watch(run_id):
            status = run.status
            if status == "waiting" and not has_waited:
                waiting, has_waited = waiting + 1, True
        return status

    watchers = [asyncio.create_task(watch()) for _ in range(100)]

    async def are_waiting() -> bool:
        return waiting == 100

    await wait_until(are_waiting)
    await world.runs.send_event(run_id, "go")

    assert await asyncio.wait_for(asyncio.gather(*watchers), SECONDS) == ["completed"] * 100
    assert counter.queries == 0
    assert len(read) <= 20, "each length that Temporal has told of is read once"
