"""Every request that changes something leaves an entry in the audit log."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import PREFIX, create_app
from api.audit import UNRECORDED
from orchestrator.errors import ServerUnavailable
from orchestrator.service.services import Services
from orchestrator.store.run_filter import RunFilter
from orchestrator.temporal.client.runs import PreparedRun, StartedRun
from tests.api.support import (
    CLIENT_SECONDS,
    EVERY_HOUR,
    SET,
    WAIT,
    create_active_workflow,
    serve_api,
    start_run,
    wait_for_status,
)
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal
MADE = make_definition(SET, "trigger -> a")
SPAN = {"start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-01T00:00:01Z"}
ASK = {"type": "action", "action": "http.request", "config": {"url": "http://127.0.0.1:1"}, "on_error": "pause",
       "retry": {"maximum_attempts": 1}}  # fmt: skip


@pytest.fixture
async def served(world: World, tmp_path: Path) -> AsyncIterator[tuple[Services, str]]:
    async with serve_api(world, tmp_path) as served:
        yield served


@pytest.fixture
async def admin(served: tuple[Services, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{served[1]}{PREFIX}", timeout=CLIENT_SECONDS) as client:
        yield client


def find_mutating_operations(services: Services) -> dict[str, tuple[str, str]]:
    """Return the operations of the API that may change something, each with its method and path."""
    found = {
        operation["operationId"]: (method.upper(), path.removeprefix(PREFIX))
        for path, methods in create_app(services).openapi()["paths"].items()
        for method, operation in methods.items()
        if method != "get" and method != "head" and "/hooks/" not in path
    }
    return {name: route for name, route in found.items() if name not in UNRECORDED}


async def prepare(api: httpx.AsyncClient, world: World) -> dict[str, Any]:
    """Make what the requests change; return the path parameters and the body of each operation."""
    world.script({"http.request": {"error": {"message": "down", "recoverable": False}}}, "acme")
    await create_active_workflow(api, "w", {"type": "manual"})
    await create_active_workflow(api, "hourly", EVERY_HOUR)
    await create_active_workflow(api, "on-paid", {"type": "event", "event": "order.paid"})
    await api.post("/workflows", json=MADE | {"id": "unwanted"})
    runs = {name: await start_run(api, {"a": WAIT}, "trigger -> a") for name in ("cancel", "terminate", "send")}
    stuck = await start_run(api, {"ask": ASK}, "trigger -> ask")
    await wait_for_status(api, stuck, "waiting")
    ended = (await api.post("/runs", params={"wait": 60}, json={"definition": MADE})).json()["id"]
    moving = await start_run_of_first_version(api)
    key = (await api.post("/keys", json={"name": "first", "customer_id": "acme"})).json()["id"]
    return {
        "createWorkflow": ({}, MADE | {"id": "new"}),
        "saveWorkflow": ({"workflow_id": "w"}, MADE | {"id": "w"}),
        "deleteWorkflow": ({"workflow_id": "unwanted"}, None),
        "activateWorkflow": ({"workflow_id": "w"}, None),
        "rollbackWorkflow": ({"workflow_id": "w"}, {"version": 1}),
        "startRun": ({"workflow_id": "w"}, {}),
        "triggerSchedule": ({"workflow_id": "hourly"}, None),
        "backfillSchedule": ({"workflow_id": "hourly"}, SPAN),
        "pauseWorkflow": ({"workflow_id": "w"}, None),
        "archiveWorkflow": ({"workflow_id": "w"}, None),
        "runDefinition": ({}, {"definition": MADE}),
        "cancelRun": ({"run_id": runs["cancel"]}, {"reason": "ordered twice"}),
        "terminateRun": ({"run_id": runs["terminate"]}, None),
        "pauseRun": ({"run_id": runs["send"]}, None),
        "resumeRun": ({"run_id": runs["send"]}, None),
        "repairRun": ({"run_id": runs["send"]}, {"kind": "set_variables", "variables": {"x": 1}}),
        "sendEvent": ({"run_id": runs["send"], "name": "go"}, None),
        "resolveStep": ({"run_id": stuck}, {"node_id": "ask", "action": "skip"}),
        "migrateRun": ({"run_id": moving}, {"version": 2}),
        "rerunRun": ({"run_id": ended}, {"from_node": "a"}),
        "sendEventToWorkflows": ({}, {"name": "order.paid", "customer_id": "acme"}),
        "redrivePausedDeliveries": ({}, {"workflow_id": "on-paid"}),
        "startBulk": ({}, {"operation": "pause", "filter": {"ids": [runs["send"]]}}),
        "createKey": ({}, {"name": "second", "customer_id": "acme"}),
        "rotateKey": ({"key_id": key}, None),
        "revokeKey": ({"key_id": key}, None),
    }


async def start_run_of_first_version(api: httpx.AsyncClient) -> str:
    """Return a run that waits, of a workflow that has been published again since."""
    definition = make_definition({"a": WAIT}, "trigger -> a") | {"id": "moving"}
    await api.post("/workflows", json=definition)
    await api.post("/workflows/moving/activate")
    run_id = str((await api.post("/workflows/moving/runs")).json()["id"])
    await api.put("/workflows/moving", json={**definition, "description": "changed"})
    await api.post("/workflows/moving/activate")
    await wait_for_status(api, run_id, "waiting")
    return run_id


@pytest.mark.slow
async def test_every_request_that_changes_something_is_recorded(
    served: tuple[Services, str], admin: httpx.AsyncClient, world: World
) -> None:
    services, _ = served
    operations = find_mutating_operations(services)
    _, secret = await services.keys.create(None, "Ada's key", ("admin",))
    admin.headers["authorization"] = f"Bearer {secret}"
    admin.params = httpx.QueryParams({"customer_id": "acme"})
    requests = await prepare(admin, world)
    delivery = await services.events.accept("acme", "order.paid", None, None)
    requests["redriveDelivery"] = ({"delivery_id": delivery.id}, None)
    one = RunFilter(ids=(requests["cancelRun"][0]["run_id"],))
    job = await services.bulk.start("acme", "pause", one, {}, actor="a test", pace=1)
    requests["stopBulk"] = ({"job_id": job.id}, None)

    assert set(operations) == set(requests), "a new operation needs a request here, or an entry in api.audit.UNRECORDED"
    for name, (parameters, body) in requests.items():
        before = {entry.id for entry in await services.audit.list_entries(None, limit=500)}
        method, path = operations[name]
        answer = await admin.request(method, path.format(**parameters), json=body)
        assert answer.is_success, (name, answer.text)
        entries = [each for each in await services.audit.list_entries(None, limit=500) if each.id not in before]
        assert [(each.operation, each.actor, each.customer_id) for each in entries] == [(name, "Ada's key", "acme")]
        assert entries[0].target, name
        assert entries[0].source == "127.0.0.1"


async def test_what_an_administrator_does_to_a_key_is_an_entry_of_its_customer(
    served: tuple[Services, str], admin: httpx.AsyncClient
) -> None:
    """It was one of no customer, so that the customer did not see that its key had been replaced."""
    services, _ = served
    _, secret = await services.keys.create(None, "Ada's key", ("admin",))
    admin.headers["authorization"] = f"Bearer {secret}"
    key, _ = await services.keys.create("acme", "a key", ("read",))
    answers = [await admin.post(f"/keys/{key.id}/rotate"), await admin.delete(f"/keys/{key.id}")]

    assert [answer.status_code for answer in answers] == [200, 204]
    assert [entry.operation for entry in await services.audit.list_entries("acme")] == ["revokeKey", "rotateKey"]


async def test_refused_requests_and_reading_ones_are_not_recorded(
    served: tuple[Services, str], admin: httpx.AsyncClient
) -> None:
    answers = [await admin.post("/workflows", json={}), await admin.post("/runs/none/cancel")]
    checked = await admin.post("/workflows/validate", json=MADE)

    assert [answer.status_code for answer in answers] == [422, 404]
    assert checked.status_code == 200
    assert await served[0].audit.list_entries(None) == []


async def test_a_start_is_recorded_while_temporal_makes_it(
    served: tuple[Services, str], admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, _ = served
    start = services.runs.start

    async def start_once_recorded(run: PreparedRun) -> StartedRun:
        await wait_until(partial(services.audit.list_entries, None))
        return await start(run)

    monkeypatch.setattr(services.runs, "start", start_once_recorded)
    answer = await admin.post("/runs", json={"definition": MADE})

    assert answer.status_code == 202, answer.text
    (entry,) = await services.audit.list_entries(None)
    assert entry.target == entry.details["run_id"] == answer.json()["id"]


async def test_a_start_that_has_failed_has_an_entry_with_its_error(
    served: tuple[Services, str], admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal may have started the run all the same."""

    async def time_out(_: PreparedRun) -> StartedRun:
        raise ServerUnavailable("the Temporal server does not answer")

    monkeypatch.setattr(served[0].runs, "start", time_out)
    answer = await admin.post("/runs", json={"definition": MADE})

    assert answer.status_code == 503
    failed, begun = await served[0].audit.list_entries(None)
    assert (begun.operation, failed.operation) == ("runDefinition", "runDefinition")
    assert failed.details == {**begun.details, "error": "server_unavailable"}
    assert begun.target == failed.target == begun.details["run_id"]


async def test_every_start_that_has_failed_has_such_entries(
    served: tuple[Services, str], admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rerun had none where Temporal did not answer in time, and one only when its `wait` was over."""

    async def time_out(_: PreparedRun) -> StartedRun:
        raise ServerUnavailable("the Temporal server does not answer")

    await create_active_workflow(admin, "hourly", EVERY_HOUR)
    ended = (await admin.post("/runs", params={"wait": 60}, json={"definition": MADE})).json()
    monkeypatch.setattr(served[0].runs, "start", time_out)
    rerun = await admin.post(f"/runs/{ended['id']}/rerun", json={"from_node": "a"})
    triggered = await admin.post("/workflows/hourly/schedule/trigger")

    assert (ended["status"], rerun.status_code, triggered.status_code) == ("completed", 503, 503)
    entries = (await served[0].audit.list_entries(None))[:4]
    assert [entry.operation for entry in entries] == ["triggerSchedule"] * 2 + ["rerunRun"] * 2
    assert [entry.target for entry in entries] == ["hourly"] * 2 + [ended["id"]] * 2
    for failed, begun in (entries[:2], entries[2:]):
        assert failed.details == {**begun.details, "error": "server_unavailable"}
        assert begun.details["run_id"] != ended["id"]


async def test_a_customer_reads_its_own_entries_only(served: tuple[Services, str], admin: httpx.AsyncClient) -> None:
    services, address = served
    for customer in ("acme", "other"):
        answer = await admin.post("/workflows", params={"customer_id": customer}, json=MADE | {"id": "w"})
        assert answer.status_code == 201, answer.text
    run_id = (await admin.post("/runs", params={"customer_id": "acme"}, json={"definition": MADE})).json()["id"]
    await admin.post("/runs", params={"customer_id": "other"}, json={"definition": MADE})
    _, secret = await services.keys.create("acme", "reader", ("read",))
    headers = {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=f"{address}{PREFIX}", headers=headers, timeout=CLIENT_SECONDS) as reader:
        own = (await reader.get("/audit")).json()["items"]
        foreign = await reader.get("/audit", params={"customer_id": "other"})
        chosen = (await reader.get("/audit", params={"operation": "runDefinition"})).json()["items"]

    assert [(entry["operation"], entry["actor"]) for entry in own] == [
        ("runDefinition", "local"), ("createWorkflow", "local"),
    ]  # fmt: skip
    assert [entry["target"] for entry in chosen] == [run_id]
    assert foreign.status_code == 404
    assert "nodes" not in str(own), "definitions may hold what only a few may read"
