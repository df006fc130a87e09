"""Stored payloads are removed when neither Temporal nor the archive knows their run, and not before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from orchestrator.model.run import Run
from orchestrator.service import payload_sweeper
from orchestrator.service.archiver import compress_document
from orchestrator.service.payload_sweeper import PayloadSweeper
from orchestrator.store.archive import Archive, ArchivedRun
from orchestrator.store.database import create_database
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.temporal.payload_store.driver import open_objects
from orchestrator.temporal.payload_store.folder import Folder
from orchestrator.temporal.payload_store.objects import Objects, StoredObject, build_key, build_mark, encode_name
from tests.temporal.world import STORES, World, make_definition, make_plan, wait_until

pytestmark = pytest.mark.temporal

TEXT = "0123456789abcdef" * 8_192


in_each_store = pytest.mark.parametrize("large", STORES, indirect=True, scope="module")


@pytest.fixture
async def sweeper(large: World, tmp_path: Path) -> AsyncIterator[PayloadSweeper]:
    database = create_database(f"sqlite+aiosqlite:///{tmp_path / 'orchestrator.db'}")
    await database.migrate()
    yield PayloadSweeper(large.runs, RunIndex(database), Archive(database), Leases(database, "tests"))
    await database.aclose()


async def run_large(world: World, nodes: dict[str, Any], **more: Any) -> Run:
    edge = f"trigger -> {next(iter(nodes))}"
    return await world.run(make_plan(nodes, edge, customer=world.script()[0], **more), {"text": TEXT})


def open_store(world: World) -> Objects:
    return open_objects(str(world.runs.settings.payload_store))


def find_objects(world: World, run_id: str) -> list[StoredObject]:
    return [*open_store(world).list_of("default", encode_name(run_id))]


@pytest.fixture
def make_all_old(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function that lets a day pass."""
    return lambda: monkeypatch.setattr(payload_sweeper, "MIN_AGE", timedelta(days=-1))


async def delete_from_temporal(world: World, run_id: str) -> None:
    request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace)
    request.workflow_execution.workflow_id = run_id
    await world.client.workflow_service.delete_workflow_execution(request, retry=True)

    async def is_gone() -> bool:
        return not await world.runs.visibility.has_workflow(run_id)

    await wait_until(is_gone)


@pytest.mark.slow
@in_each_store
async def test_a_run_that_is_gone_loses_its_objects_and_others_keep_theirs(
    large: World, sweeper: PayloadSweeper, make_all_old: Callable[[], None]
) -> None:
    nodes = {"one": {"type": "set", "config": {"done": True}}}
    gone, archived, stored = [await run_large(large, nodes) for _ in range(3)]
    document = ArchivedRun(archived.id, archived.customer_id, datetime.now(UTC), compress_document(archived))
    await sweeper.archive.put([document])
    await asyncio.gather(*(delete_from_temporal(large, run.id) for run in (gone, archived)))
    for run in (gone, archived, stored):
        assert find_objects(large, run.id)
    make_all_old()
    await sweeper.sweep()

    assert [bool(find_objects(large, run.id)) for run in (gone, archived, stored)] == [False, True, True]
    # The equal input of another customer is still there.
    assert (await large.runs.reader.read_document(stored.id)).input_data == {"text": TEXT}

    await sweeper.archive.prune(datetime.now(UTC))
    await sweeper.sweep()

    assert find_objects(large, archived.id) == []


@in_each_store
async def test_what_a_killed_start_has_left_is_removed_after_a_day(
    large: World, sweeper: PayloadSweeper, make_all_old: Callable[[], None]
) -> None:
    store = open_store(large)
    store.write(build_key("default", "order-never-started", b"x"), b"x")
    await sweeper.sweep()

    assert find_objects(large, "order-never-started")

    make_all_old()
    if isinstance(store, Folder):
        (store.root / "default" / ".DS_Store").write_text("of another program")
    await sweeper.sweep()

    assert find_objects(large, "order-never-started") == []


@in_each_store
async def test_nothing_is_removed_where_another_server_stores_in_the_same_place(
    large: World, sweeper: PayloadSweeper, make_all_old: Callable[[], None]
) -> None:
    """The other one has a namespace of the same name, and runs that this one does not know."""
    store = open_store(large)
    store.write(build_key("default", "of-the-other-server", b"x"), b"x")
    mark = build_mark("default", b"another namespace")
    store.write(mark, b"another namespace")
    make_all_old()
    await sweeper.sweep()

    assert find_objects(large, "of-the-other-server")

    store.remove([mark])
    await sweeper.sweep()

    assert find_objects(large, "of-the-other-server") == []


@pytest.mark.slow
async def test_a_called_run_is_kept_as_long_as_its_caller(
    large: World, sweeper: PayloadSweeper, make_all_old: Callable[[], None]
) -> None:
    """The history of the caller refers to what the called run has returned after continuing as new."""
    called = make_definition({"one": {"type": "set", "config": {"done": True}}}, "trigger -> one")
    nodes = {
        "call": {"type": "workflow", "config": {"workflow_id": "called", "input": {"text": "{{ input.text }}"}}},
    }
    run = await run_large(large, nodes, workflows={"called": called})
    assert run.status == "completed", run.failure
    child_id = str(run.steps[0].run_id or (run.steps[0].output_data or {})["run_id"])
    await sweeper.index.put([await large.runs.visibility.read_summary(child_id)])
    await delete_from_temporal(large, child_id)
    make_all_old()
    await sweeper.sweep()

    assert find_objects(large, child_id)

    await delete_from_temporal(large, run.id)
    await sweeper.sweep()

    assert find_objects(large, child_id) == find_objects(large, run.id) == []
