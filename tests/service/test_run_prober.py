"""Runs that no worker takes, that are tried again and that wait for a called workflow are told apart in lists."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.worker import Worker

from orchestrator.service.services import Services
from orchestrator.store.run_filter import RunFilter
from tests.api.support import WAIT, serve_api
from tests.service.rows import wait_for_row
from tests.temporal.world import World, make_definition, make_plan, wait_until

pytestmark = pytest.mark.temporal
SLOW = {"initial_interval": 600, "maximum_interval": 600, "maximum_attempts": 3}


@activity.defn(name="other.things")
async def do_other_things() -> None:
    """Do nothing: the only action of a worker."""


@pytest.fixture
async def services(world: World, tmp_path: Path) -> AsyncIterator[Services]:
    async with serve_api(world, tmp_path) as (services, _):
        services.prober.still = timedelta(0)
        yield services


async def test_a_step_that_no_worker_takes_is_pending(world: World, services: Services) -> None:
    customer, _ = world.script()
    nodes = {"render": {"type": "action", "action": "gpu.render", "task_queue": "gpu"}}
    run_id = await world.start(make_plan(nodes, "trigger -> render", customer=customer))

    row = await wait_for_row(services, run_id, "pending", "no_worker", "render")

    assert row.waiting_for[0]["queue"] == "gpu"
    assert row.waiting_for[0]["message"].startswith("no worker has taken it from task queue 'gpu' for ")
    await world.runs.terminate(run_id)
    assert (await wait_for_row(services, run_id, "cancelled")).reason is None


async def test_a_run_that_no_worker_takes_is_pending(world: World, services: Services) -> None:
    customer, _ = world.script()
    settings = world.runs.settings.model_copy(update={"task_queue": "nobody"})
    runs = type(world.runs)(world.client, settings)
    run_id = (await runs.start(runs.prepare(make_plan({"a": WAIT}, "trigger -> a", customer=customer)))).id

    row = await wait_for_row(services, run_id, "pending")

    assert (row.reason, row.node_id, row.waiting_for[0]["queue"]) == ("no_worker", None, "nobody")
    await world.runs.terminate(run_id)


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_a_step_between_two_attempts_is_retrying(world: World, services: Services, mode: str) -> None:
    customer, _ = world.script({"flaky": {"error": {"message": "busy", "error_type": "action_error"}}})
    nodes: dict[str, Any] = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": mode}},
        "a": {"type": "action", "action": "flaky", "retry": SLOW},
        "b": WAIT,
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))

    row = await wait_for_row(services, run_id, "retrying", "event", "b")

    assert (row.error_type, row.error) == ("action_error", "busy")
    await world.runs.terminate(run_id)


async def test_an_action_that_the_worker_does_not_know_is_named(world: World, services: Services) -> None:
    customer, _ = world.script()
    nodes = {"a": {"type": "action", "action": "x.y", "task_queue": "others", "retry": SLOW}}
    async with Worker(world.client, task_queue="others", activities=[do_other_things]):
        run_id = await world.start(make_plan(nodes, "trigger -> a", customer=customer))
        row = await wait_for_row(services, run_id, "retrying")
        run = await world.runs.reader.read_document(run_id)

    message = "the worker that took it from task queue 'others' does not know the action `x.y`"
    assert (row.reason, row.error, row.waiting_for[0]["message"]) == ("no_worker", message, message)
    assert run.steps[0].error is not None
    assert (run.steps[0].status, run.steps[0].error["message"]) == ("retrying", message)
    await world.runs.terminate(run_id)


async def test_a_run_that_waits_for_a_called_workflow_names_its_run(world: World, services: Services) -> None:
    customer, _ = world.script()
    called = make_definition({"w": WAIT}, "trigger -> w") | {"id": "called"}
    nodes = {"call": {"type": "workflow", "config": {"workflow_id": "called"}}}
    run_id = await world.start(make_plan(nodes, "trigger -> call", customer=customer, workflows={"called": called}))

    row = await wait_for_row(services, run_id, "waiting")

    assert row.reason == "child"
    (inner,) = await wait_until(lambda: services.operations.index.list_runs(customer, RunFilter(parent_run_id=run_id)))
    assert row.waiting_for[0]["run_id"] == inner.id
    await world.runs.cancel(run_id)
