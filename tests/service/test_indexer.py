"""The run index follows Temporal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.devserver import run_dev_server
from tests.api.support import WAIT, serve_api
from tests.temporal.world import World, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal


async def test_the_index_closes_runs_that_temporal_has_deleted(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer))
    async with serve_api(world, tmp_path) as (services, _):

        async def read_indexed() -> Any:
            return await services.operations.index.get(customer, run_id)

        run = await wait_until(read_indexed)
        request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace)
        request.workflow_execution.workflow_id = run_id
        await world.client.workflow_service.delete_workflow_execution(request, retry=True)

        async def is_cancelled() -> bool:
            await services.indexer.sweep(run.started_at + timedelta(hours=1))
            return (await read_indexed()).status == "cancelled"

        await wait_until(is_cancelled)


@pytest.mark.slow
async def test_a_run_that_continued_as_new_is_listed_with_its_first_start(tmp_path: Path) -> None:
    config = ("limit.historyCount.suggestContinueAsNew=40",)
    async with run_dev_server(tmp_path / "short", dynamic_config=config) as server, open_world(server) as world:
        customer, _ = world.script()
        nodes = {"l": {"type": "loop", "collection": 30, "body": ["work"]}, "work": "work"}
        run_id = await world.start(make_plan(nodes, "trigger -> l", customer=customer))
        run = await world.wait_for_end(run_id)
        async with serve_api(world, tmp_path / "new") as (services, _):

            async def find_completed() -> Any:
                row = await services.operations.index.get(customer, run_id)
                return row if row is not None and row.completed_at else None

            row = await wait_until(find_completed)

    # Each of its executions but the last takes a second or more: the times of one alone are far from those of the run.
    assert abs((row.started_at - run.started_at).total_seconds() * 1000) < run.duration_ms / 2
    assert row.duration_ms > run.duration_ms / 2


@pytest.mark.slow
async def test_what_a_run_waits_for_is_recorded_though_a_probe_fails(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change counted as recorded before it was: the list showed the run as running until its end."""
    customer, _ = world.script()
    async with serve_api(world, tmp_path) as (services, _):
        nodes = {"a": WAIT, "b": WAIT}
        run_id = await world.start(make_plan(nodes, "trigger -> a", "a -> b", customer=customer))

        async def waits_at(node: str) -> bool:
            row = await services.operations.index.get(customer, run_id)
            return row is not None and (row.reason, row.node_id) == ("event", node)

        await wait_until(lambda: waits_at("a"))
        probe = services.indexer.prober.probe_run
        refused: list[str] = []

        async def refuse_once(run_id: str) -> None:
            if run_id not in refused:
                refused.append(run_id)
                raise ServerUnavailable("restarting")
            await probe(run_id)

        monkeypatch.setattr(services.indexer.prober, "probe_run", refuse_once)
        monkeypatch.setattr(services.prober, "still", timedelta(hours=1))  # which would describe the run later
        await world.runs.send_event(run_id, WAIT["config"]["event"], None)

        await wait_until(lambda: waits_at("b"))
        assert run_id in refused
    await world.runs.terminate(run_id)
