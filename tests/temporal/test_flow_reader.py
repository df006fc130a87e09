"""A history is read once for each of its lengths, in time or not at all."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import TypedSearchAttributes

from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import Run
from orchestrator.temporal.client import flow_reader
from orchestrator.temporal.client.flow_reader import FlowReader
from orchestrator.temporal.history.reader import FlowReading


class Described:
    """What Temporal says of an execution."""

    run_id = "execution"
    typed_search_attributes = TypedSearchAttributes.empty

    def __init__(self, workflow_id: str, history_length: int) -> None:
        self.id = workflow_id
        self.history_length = history_length


class StoredHistories:
    """Histories of a few bytes."""

    async def fetch(self, workflow_id: str, execution: str) -> bytes:
        return b"12345"


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


def describe(workflow_id: str, history_length: int = 10) -> WorkflowExecutionDescription:
    return cast(WorkflowExecutionDescription, Described(workflow_id, history_length))


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
