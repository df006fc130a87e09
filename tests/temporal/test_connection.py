"""What a client reports when the namespace is not ready or no worker answers."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from orchestrator.errors import ServerUnavailable
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client import run_tree
from orchestrator.temporal.client import runs as runs_module
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from tests.api.support import (
    SET,
)
from tests.temporal.world import World, make_definition, make_plan

pytestmark = pytest.mark.temporal


async def test_a_namespace_without_its_search_attributes_is_not_ready(tmp_path: Path) -> None:
    async with run_dev_server(tmp_path / "temporal") as server:
        settings = Settings(home=tmp_path, temporal_address=server.address, temporal_namespace="bare")
        runs = Runs(await connect(settings), settings)
        day = Duration(seconds=86_400)
        request = RegisterNamespaceRequest(namespace="bare", workflow_execution_retention_period=day)
        await runs.client.workflow_service.register_namespace(request)
        plan = check(make_definition(SET, "trigger -> a") | {"id": "w"}).require()

        async def read_error() -> str:
            with pytest.raises(ServerUnavailable) as caught:
                await runs.start(runs.prepare(plan))
            return str(caught.value)

        async with asyncio.timeout(30):
            while "is not ready" not in await read_error():  # at first the namespace itself is not known everywhere
                await asyncio.sleep(0.2)


async def test_an_update_without_a_worker_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "QUERY_SECONDS", 0.5)
    monkeypatch.setattr(run_tree, "QUERY_SECONDS", 0.5)
    runs = Runs(world.client, world.runs.settings.model_copy(update={"task_queue": "nobody-is-there"}))
    run_id = (await runs.start(runs.prepare(make_plan({"a": "work"}, "trigger -> a", customer="nobody")))).id

    with pytest.raises(ServerUnavailable, match="no worker answers"):
        await runs.resolve(run_id, "a", "skip")

    await runs.terminate(run_id)
