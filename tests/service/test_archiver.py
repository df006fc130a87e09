"""Ended runs are archived, and answered from the archive without Temporal."""

import asyncio
import logging
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import Run, RunInfo
from orchestrator.service import archiver
from orchestrator.service.archiver import compress_document, decompress_document
from orchestrator.service.history_processes import HistoryProcesses
from orchestrator.store.archive import ArchivedRun
from orchestrator.temporal.client.flow_reader import ReadFlows
from orchestrator.temporal.history.reader import read_flows
from tests.api.support import WAIT, serve_api
from tests.temporal.delicate_runs import make_loop
from tests.temporal.made_histories import make_loop_history
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal

NODES = {
    "a": "work",
    "fork": {"type": "parallel", "branches": [["b"], ["c"]], "config": {"mode": "child"}},
    "b": "work",
    "c": "work",
}


@pytest.mark.slow
async def test_an_ended_run_is_answered_whole_when_temporal_has_deleted_it(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    plan = make_plan(NODES, "trigger -> a", "a -> fork", customer=customer)
    async with serve_api(world, tmp_path) as (services, _):
        run = await world.run(plan, {"n": 1})

        async def is_archived() -> bool:
            return await services.archiver.archive.get(customer, run.id) is not None

        await wait_until(is_archived)
        request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace)
        request.workflow_execution.workflow_id = run.id
        await world.client.workflow_service.delete_workflow_execution(request, retry=True)
        archived = await services.operations.get_document(customer, run.id)

    assert archived.complete
    assert archived.usage is not None
    assert (archived.usage.executions, archived.usage.complete) == (3, True)
    assert len(archived.steps) == 4
    assert archived.model_dump(exclude={"links", "usage"}) == run.model_dump(exclude={"links", "usage"})


@pytest.mark.slow
async def test_a_run_that_temporal_no_longer_stores_is_not_tried_for_ever(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer))
    async with serve_api(world, tmp_path) as (services, _):

        async def read_indexed() -> object:
            return await services.operations.index.get(customer, run_id)

        await wait_until(read_indexed)
        request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace)
        request.workflow_execution.workflow_id = run_id
        await world.client.workflow_service.delete_workflow_execution(request, retry=True)
        await services.operations.index.mark_lost([run_id])

        async def is_given_up() -> bool:
            return run_id not in [run.run_id for run in await services.archiver.archive.list_pending(1_000)]

        await wait_until(is_given_up)

        assert await services.archiver.archive.get(customer, run_id) is None


@pytest.mark.slow
async def test_a_run_that_cannot_be_read_in_time_keeps_no_other_from_the_archive(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    stubborn = await world.run(plan)
    async with serve_api(world, tmp_path) as (services, _):
        read = services.archiver.reader.read_ended

        async def refuse(run_id: str) -> Run:
            if run_id == stubborn.id:
                raise ServerUnavailable("the history of the run cannot be read in time")
            return await read(run_id)

        monkeypatch.setattr(services.archiver.reader, "read_ended", refuse)
        other = await world.run(plan)

        async def is_archived() -> bool:
            return await services.archiver.archive.get(customer, other.id) is not None

        await wait_until(is_archived)

        assert await services.archiver.archive.get(customer, stubborn.id) is None


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["read", "compress"])
async def test_whatever_is_wrong_with_a_run_keeps_no_other_from_the_archive(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """The error of one run left with those of all that were read beside it, every second."""
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    odd = await world.run(plan)
    async with serve_api(world, tmp_path) as (services, _):
        read = services.archiver.reader.read_ended

        async def fail_to_read(run_id: str) -> Run:
            if run_id == odd.id:
                raise ValueError("an odd history")
            return await read(run_id)

        def fail_to_compress(run: Run) -> bytes:
            if run.id == odd.id:
                raise ValueError("an odd value")
            return compress_document(run)

        if stage == "read":
            monkeypatch.setattr(services.archiver.reader, "read_ended", fail_to_read)
        else:
            monkeypatch.setattr(archiver, "compress_document", fail_to_compress)
        other = await world.run(plan)

        async def is_archived() -> bool:
            return await services.archiver.archive.get(customer, other.id) is not None

        await wait_until(is_archived)

        assert await services.archiver.archive.get(customer, odd.id) is None


async def test_an_archived_document_that_cannot_be_decoded_is_read_from_the_history(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer))
    async with serve_api(world, tmp_path) as (services, _):
        for number, document in enumerate((b"not compressed", zlib.compress(b"{"), zlib.compress(b"{}"))):
            with caplog.at_level(logging.ERROR):
                await services.archiver.archive.prune(datetime.now(UTC))
                archived = ArchivedRun(run_id, customer, datetime.now(UTC), document)
                await services.archiver.archive.put([archived])
                run = await services.operations.get_document(customer, run_id)
            assert (run.id, run.status) == (run_id, "waiting"), document
            assert caplog.text.count("cannot be decoded") == number + 1
    await world.runs.terminate(run_id)


def test_a_deeply_nested_value_is_read_from_the_archive() -> None:
    """Values nest 200 levels deep; with those of the document around them, a parser may stop before."""
    value: Any = 1
    for _ in range(199):
        value = [value]
    run = Run(id="r", workflow_id="w", workflow_version=1, status="completed", context={"deep": value}, output=value)

    assert decompress_document(compress_document(run)) == run


@pytest.mark.parametrize("value", [0.1, -0.0, 1e308, 5e-324, 2**70, -(10**40), "\x00 \u2028 \U0001f600", True, [{}]])
def test_values_are_read_from_the_archive_as_they_were(value: Any) -> None:
    run = Run(id="r", workflow_id="w", workflow_version=1, status="completed", context={"value": value}, output=value)

    read = decompress_document(compress_document(run))
    assert (repr(read.output), repr(read.context["value"])) == (repr(value), repr(value))


@pytest.mark.parametrize("steps", [10, 100, 1_000])
def test_what_archiving_costs(steps: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints processor time and size; runs of ten steps take well under 20 ms, so that 50 a second are kept up with."""
    plan = make_plan(
        {"each": make_loop(steps, "n", "work"), "work": {"type": "action", "action": "work"}},
        "trigger -> each",
        customer="long",
        settings={"step_log_limit": 1_000},
    )
    history = make_loop_history(plan, RunInfo(id="long"), "each", "work", steps).SerializeToString()
    began = time.process_time()
    (reading,) = read_flows([("long", history)])
    document = compress_document(reading.run)
    milliseconds = (time.process_time() - began) * 1_000
    with capsys.disabled():
        print(
            f"\n{steps:,} steps: {milliseconds:.1f} ms, {len(history):,} bytes of history, {len(document):,} archived"
        )

    assert decompress_document(document) == reading.run
    assert len(zlib.decompress(document)) > len(document)


@pytest.mark.slow
async def test_a_backlog_of_the_archive_keeps_nobody_from_reading_runs() -> None:
    """The archive reads one run after the other, in one of the processes."""
    plan = make_plan(
        {"each": make_loop(1_000, "n", "work"), "work": {"type": "action", "action": "work"}},
        "trigger -> each",
        customer="long",
    )
    long = make_loop_history(plan, RunInfo(id="long"), "each", "work", 1_000).SerializeToString()
    short = make_loop_history(plan, RunInfo(id="short"), "each", "work", 2).SerializeToString()
    processes = HistoryProcesses()

    async def read(function: ReadFlows, name: str, history: bytes) -> None:
        await function(name, [(name, history)])

    await asyncio.gather(  # both processes have started
        read(processes.read_for_archive, "short", short), read(processes.read_flows, "short", short)
    )
    backlog = [asyncio.create_task(read(processes.read_for_archive, "long", long)) for _ in range(40)]
    await asyncio.sleep(0)
    await read(processes.read_flows, "short", short)
    waiting = [task for task in backlog if not task.done()]
    for task in backlog:
        task.cancel()
    await asyncio.gather(*backlog, return_exceptions=True)

    assert len(waiting) > 1


@pytest.mark.long
@pytest.mark.slow
async def test_the_size_and_the_age_of_a_backlog_are_shown(world: World, tmp_path: Path) -> None:
    """Where the archive cannot keep up, the gauges grow, and lists are as they were."""
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    async with serve_api(world, tmp_path) as (services, _):
        gate, read = asyncio.Event(), services.archiver.reader.read_ended

        async def read_late(run_id: str) -> Run:
            await gate.wait()
            return await read(run_id)

        services.archiver.reader.read_ended = read_late  # type: ignore[method-assign]
        runs = [await world.run(plan) for _ in range(3)]
        wanted = {run.id for run in runs}

        async def are_listed() -> bool:
            listed = await services.operations.list_runs(customer)
            return wanted == {run.id for run in listed if run.status == "completed"}

        await wait_until(are_listed)
        backlog = await services.archiver.archive.read_backlog()
        document = await services.operations.get_document(customer, runs[0].id)
        await services.archiver._count()
        pending = archiver.ARCHIVE_PENDING._value.get()
        gate.set()

        async def are_archived() -> bool:
            return all([await services.archiver.archive.get(customer, run_id) for run_id in wanted])

        await wait_until(are_archived)

    assert backlog.runs >= 3
    assert pending >= 3
    assert document.status == "completed"
