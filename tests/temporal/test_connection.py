"""Clients report a namespace that is not ready and a missing worker."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.service import RPCStatusCode

from activities import load_registry
from orchestrator.errors import ServerUnavailable
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client import connection, updates
from orchestrator.temporal.client.connection import AccessDenied, NamespaceNotFound, wait_and_connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import find_free_port, run_dev_server
from orchestrator.temporal.payload_store.objects import StoreRejected
from orchestrator.temporal.worker import run_worker
from tests.api.support import (
    SET,
)
from tests.temporal.refusing_server import run_refusing_server
from tests.temporal.world import SECONDS, World, connect_patiently, make_definition, make_plan

pytestmark = pytest.mark.temporal


async def test_a_namespace_without_its_search_attributes_is_not_ready(tmp_path: Path) -> None:
    async with run_dev_server(tmp_path / "temporal") as server:
        settings = Settings(home=tmp_path, temporal_address=server.address, temporal_namespace="bare")
        runs = Runs(await connect_patiently(settings), settings)
        day = Duration(seconds=86_400)
        request = RegisterNamespaceRequest(namespace="bare", workflow_execution_retention_period=day)
        await runs.client.workflow_service.register_namespace(request)
        plan = check(make_definition(SET, "trigger -> a") | {"id": "w"}).require()

        async def read_error() -> str:
            with pytest.raises(ServerUnavailable) as caught:
                await runs.start(runs.prepare(plan))
            return str(caught.value)

        async with asyncio.timeout(SECONDS):
            while "is not ready" not in await read_error():  # at first the namespace itself is not known everywhere
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("status", [RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED])
async def test_rejected_credentials_are_reported_at_once(tmp_path: Path, status: RPCStatusCode) -> None:
    """Waiting does not help: the key has expired, or belongs to another namespace."""
    async with run_refusing_server(int(status), "key expired") as address, asyncio.timeout(SECONDS):
        settings = Settings(home=tmp_path, temporal_address=address, temporal_wait_seconds=600)
        with pytest.raises(AccessDenied, match="rejected our credentials: key expired") as caught:
            await wait_and_connect(settings)

    assert caught.value.code == "server_unavailable"
    assert "ORCHESTRATOR_TEMPORAL_API_KEY" in (caught.value.hint or "")


async def test_a_missing_namespace_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "NAMESPACE_SECONDS", 0.0)
    settings = world.runs.settings.model_copy(update={"temporal_namespace": "nowhere"})
    with pytest.raises(NamespaceNotFound, match="has no namespace 'nowhere'"):
        await wait_and_connect(settings)

    runs = Runs(await connect_patiently(settings), settings)
    with pytest.raises(NamespaceNotFound, match="has no namespace 'nowhere'"):
        await runs.reader.read_document("some-run")


async def test_a_process_waits_for_a_server_that_starts_later(tmp_path: Path) -> None:
    port = find_free_port()
    settings = Settings(home=tmp_path, temporal_address=f"127.0.0.1:{port}", temporal_wait_seconds=SECONDS)
    waiting = asyncio.create_task(wait_and_connect(settings))
    await asyncio.sleep(0)
    async with run_dev_server(tmp_path / "temporal", port=port):
        assert (await waiting).namespace == "default"


async def test_the_wait_for_a_server_is_bounded(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, temporal_address=f"127.0.0.1:{find_free_port()}", temporal_wait_seconds=0.1)
    with pytest.raises(ServerUnavailable, match="no Temporal server answers"):
        await wait_and_connect(settings)


async def test_a_process_does_not_start_with_a_payload_store_that_it_cannot_write(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    update = {"payload_store": str(tmp_path / "file" / "payloads"), "temporal_wait_seconds": 600}

    with pytest.raises(StoreRejected, match=r"a payload cannot be written to .*file/payloads: Not a directory"):
        await wait_and_connect(world.runs.settings.model_copy(update=update))


async def test_a_worker_that_temporal_refuses_is_reported(world: World) -> None:
    """The SDK raises a RuntimeError and logs a traceback of its own code."""
    settings = world.runs.settings.model_copy(update={"temporal_namespace": "nowhere"})
    with pytest.raises(ServerUnavailable, match=r"Temporal does not accept the worker: NotFound: .*nowhere"):
        async with run_worker(await connect_patiently(settings), settings, load_registry(settings)):
            await asyncio.sleep(SECONDS)


async def start_without_worker(world: World) -> tuple[Runs, str]:
    """Start a run on a queue that no worker serves; return its ID."""
    runs = Runs(world.client, world.runs.settings.model_copy(update={"task_queue": "without-worker"}))
    plan = make_plan({"a": "work"}, "trigger -> a", customer="without-worker")
    return runs, (await runs.start(runs.prepare(plan))).id


async def test_an_update_without_a_worker_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "UPDATE_SECONDS", 0.5)
    runs, run_id = await start_without_worker(world)

    with pytest.raises(ServerUnavailable, match="no worker answers"):
        await runs.resolve(run_id, "a", "skip")

    await runs.terminate(run_id)


async def test_an_update_that_is_cancelled_while_it_waits_for_a_worker_is_cancelled(world: World) -> None:
    """The SDK makes an error of a cancellation: it was told as a missing worker, and bulk jobs tried again."""
    runs, run_id = await start_without_worker(world)
    handle = world.client.get_workflow_handle(run_id)
    sending = asyncio.create_task(updates.execute_update(handle, "repair", {}))
    await asyncio.sleep(0.5)  # by then it has mostly been sent; before that the SDK is cancelled as other code is

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await runs.terminate(run_id)
