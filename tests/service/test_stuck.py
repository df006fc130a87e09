"""What is stuck is found: queues without workers, failing workflow tasks, slow actions and old runs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from temporalio.worker import Worker

from api.app import PREFIX
from orchestrator.model.run import RunSummary
from orchestrator.service.services import Services
from orchestrator.service.stuck import MIN_RUNS, Stuck
from tests.api.support import CLIENT_SECONDS, WAIT, serve_api, wait_for_status
from tests.temporal.test_failing_tasks import BrokenWorkflow
from tests.temporal.world import NONE, World, make_definition, make_plan, wait_until

pytestmark = pytest.mark.temporal


@pytest.fixture
async def served(world: World, tmp_path: Path) -> AsyncIterator[tuple[Services, str]]:
    async with serve_api(world, tmp_path) as served:
        served[0].prober.still = timedelta(0)
        served[0].stuck.min_seconds = 0.1
        yield served


@pytest.fixture
def services(served: tuple[Services, str]) -> Services:
    return served[0]


@pytest.fixture
async def api(served: tuple[Services, str], world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client that acts for a new customer."""
    customer, _ = world.script()
    params = {"customer_id": customer}
    async with httpx.AsyncClient(base_url=f"{served[1]}{PREFIX}", params=params, timeout=CLIENT_SECONDS) as client:
        yield client


async def find(services: Services, customer: str, kind: str) -> Stuck:
    async def look() -> Stuck | None:
        stuck = await services.stuck.find(customer)
        return stuck if getattr(stuck, kind) else None

    found: Stuck = await wait_until(look, 300)  # several times the usual duration, which is long on a busy machine
    return found


async def test_a_queue_with_a_backlog_and_no_worker_is_stuck(world: World, services: Services) -> None:
    customer, _ = world.script()
    nodes = {"render": {"type": "action", "action": "gpu.render", "task_queue": "unserved"}}
    run_id = await world.start(make_plan(nodes, "trigger -> render", customer=customer))

    (queue,) = (await find(services, customer, "queues")).queues
    theirs = await services.stuck.find("another customer")

    assert (queue.queue, queue.kind, queue.pollers, queue.backlog) == ("unserved", "activity", 0, 1)
    assert theirs.queues == ()
    await world.runs.terminate(run_id)


@pytest.mark.slow
async def test_a_run_whose_workflow_task_fails_is_stuck(world: World, services: Services) -> None:
    customer, _ = world.script()
    runs = type(world.runs)(world.client, world.runs.settings.model_copy(update={"task_queue": "broken-release"}))
    async with Worker(world.client, task_queue="broken-release", workflows=[BrokenWorkflow], workflow_runner=NONE):
        run_id = (await runs.start(runs.prepare(make_plan({"a": WAIT}, "trigger -> a", customer=customer)))).id
        (stuck,) = (await find(services, customer, "workflow_tasks")).workflow_tasks

    assert stuck.run_id == run_id
    assert "the bug of this release" in stuck.message
    await world.runs.terminate(run_id)


async def test_how_long_runs_usually_take_is_known_from_twenty_on(world: World, services: Services) -> None:
    """A single quick run made every later one look stuck; and what was unknown once stayed so for ten minutes."""
    customer, _ = world.script()
    started_at = datetime.now(UTC) - timedelta(minutes=1)

    def make_run(name: str, **more: Any) -> RunSummary:
        fields = {"workflow_id": "w", "workflow_version": 1, "customer_id": customer, "trigger_type": "manual"}
        return RunSummary(
            **{"id": f"{customer}-{name}", "status": "running", "started_at": started_at, **fields, **more}
        )

    ended = {"status": "completed", "completed_at": started_at, "duration_ms": 100}
    runs = [make_run(str(index), **ended) for index in range(MIN_RUNS)]
    await services.operations.index.put([*runs[1:], make_run("open")])
    unknown = (await services.stuck.find(customer)).runs
    await services.operations.index.put(runs[:1])
    (old,) = (await services.stuck.find(customer)).runs

    assert unknown == ()
    assert (old.run_id, old.usual_seconds) == (f"{customer}-open", 0.1)


@pytest.mark.slow
async def test_what_takes_far_longer_than_usual_is_stuck(
    world: World, services: Services, api: httpx.AsyncClient
) -> None:
    customer = str(api.params["customer_id"])
    _, script = world.script({"http.request": {"output": {"status": 200}}}, customer)
    call = {"type": "action", "action": "http.request", "config": {"url": "http://a.example"}}
    assert (
        await api.post("/workflows", json=make_definition({"call": call}, "trigger -> call") | {"id": "w"})
    ).is_success
    assert (await api.post("/workflows/w/activate")).is_success
    before = await asyncio.gather(*(api.post("/workflows/w/runs", params={"wait": 60}) for _ in range(MIN_RUNS)))
    assert {answer.json()["status"] for answer in before} == {"completed"}
    script.gates["call"] = asyncio.Event()
    slow = (await api.post("/workflows/w/runs")).json()["id"]

    activities = (await find(services, customer, "activities")).activities
    old = (await find(services, customer, "runs")).runs
    listed = (await api.get("/stuck")).json()

    assert [(each.run_id, each.node_id) for each in activities] == [(slow, "call")]
    assert activities[0].message.startswith("http.request has run for ")
    assert [each.run_id for each in old] == [slow]
    assert [each["run_id"] for each in listed["activities"]] == [slow]
    await services.stuck.write_metrics()
    assert 'orchestrator_stuck{kind="activities"} ' in generate_latest().decode()
    script.gates["call"].set()
    await wait_for_status(api, slow, "completed")
