"""What one request, one customer or one crash does must not reach others, and nothing may be done twice."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, RegisterNamespaceRequest

from orchestrator.errors import ServerUnavailable
from orchestrator.planner.planner import check
from orchestrator.service.services import House
from orchestrator.settings import Settings
from orchestrator.store.deliveries import ACCEPTED, Delivery, Start
from orchestrator.temporal.client import run_tree
from orchestrator.temporal.client import runs as runs_module
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import dev_server
from orchestrator.temporal.schedules.schedules import schedule_id
from tests.api.conftest import opened as served_from
from tests.api.test_runs import WAIT, stands, started
from tests.api.test_triggers import EVERY_MINUTE, active, ended, hook, signed
from tests.temporal.world import World, definition, opened, planned, until

pytestmark = pytest.mark.temporal

SET = {"a": {"type": "set", "config": {"x": 1}}}
SIGNATURE, TIMESTAMP = "X-Orchestrator-Signature", "X-Orchestrator-Timestamp"


@pytest.fixture
async def hooks(place: tuple[House, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{place[1]}/api/v1/hooks/{customer}", timeout=30) as client:
        yield client


async def keep(api: httpx.AsyncClient, name: str, trigger: dict[str, Any], **more: Any) -> None:
    made = definition(SET, "trigger -> a") | more | {"id": name, "trigger": trigger}
    answer = await api.post("/workflows", json=made)
    assert answer.status_code == 201, answer.text


# Starts


@pytest.mark.parametrize("name", ["x" * 129, "a/b", "a\u0000b", " "])
async def test_a_definition_that_is_not_kept_is_named_like_one_that_is(api: httpx.AsyncClient, name: str) -> None:
    made = definition(SET, "trigger -> a") | {"id": name}

    answer = await api.post("/runs", json={"definition": made})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "/id"), answer.text


async def test_what_is_not_published_is_version_0_and_counts_nowhere(api: httpx.AsyncClient) -> None:
    await keep(api, "w", {"type": "manual"})
    draft = (await api.post("/workflows/w/runs", params={"wait": 20})).json()
    made = definition(SET, "trigger -> a") | {"id": "w", "version": 2**40}
    unkept = (await api.post("/runs", json={"definition": made}, params={"wait": 20})).json()

    assert [run["workflow_version"] for run in (draft, unkept)] == [0, 0]

    async def listed() -> bool:
        return len((await api.get("/runs")).json()["items"]) == 2

    await until(listed)
    assert (await api.get("/workflows/w/stats")).json()["runs"] == 0


async def test_a_key_answers_the_first_run_whatever_has_become_of_the_workflow(api: httpx.AsyncClient) -> None:
    await keep(api, "w", {"type": "manual"})
    key = {"idempotency-key": "k"}
    first = (await api.post("/workflows/w/runs", headers=key)).json()["id"]
    await api.post("/workflows/w/archive")

    again = await api.post("/workflows/w/runs", headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first)
    assert (await api.post("/workflows/w/runs")).status_code == 409


async def test_a_rollback_leaves_paused_what_is_paused(api: httpx.AsyncClient) -> None:
    await keep(api, "w", {"type": "event", "event": "e"})
    assert (await api.post("/workflows/w/activate")).status_code == 200
    await api.post("/workflows/w/pause")

    rolled = await api.post("/workflows/w/rollback", json={"version": 1})

    assert (rolled.json()["status"], rolled.json()["version"]) == ("paused", 2)
    assert (await api.post("/events", json={"name": "e"})).json()["runs"] == []
    await api.post("/workflows/w/archive")
    assert (await api.post("/workflows/w/rollback", json={"version": 1})).status_code == 409


async def test_a_workflow_of_temporals_own_is_no_run(api: httpx.AsyncClient, house: House, customer: str) -> None:
    await keep(api, "w", EVERY_MINUTE)
    await api.post("/workflows/w/activate")
    scheduler = f"temporal-sys-scheduler:{schedule_id(customer, 'w')}"

    for method, path in (("GET", ""), ("POST", "/terminate"), ("POST", "/pause"), ("GET", "/stream")):
        answer = await api.request(method, f"/runs/{scheduler}{path}")
        assert answer.status_code == 404, (path, answer.text)
    assert (await api.post("/workflows/w/schedule/trigger")).status_code == 202


async def test_a_stream_goes_on_only_in_an_execution_that_is_there(api: httpx.AsyncClient) -> None:
    run_id = await started(api, {"a": WAIT}, "trigger -> a")

    for execution in ("-" * 36, "00000000-0000-4000-8000-000000000000"):
        answer = await api.get(f"/runs/{run_id}/stream", headers={"last-event-id": f"{execution};=0.0"})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


# Events


async def test_what_no_run_could_begin_with_is_not_accepted(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    """A million control characters are six million bytes of JSON."""
    await active(api, "one", hook("in"))
    await active(api, "two", {"type": "event", "event": "e"})

    answers = [
        await hooks.post("/in", content=b"\x01" * 1_000_000, headers={"content-type": "text/plain"}),
        await api.post("/events", json={"name": "e", "data": "ä" * 400_000}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(413, "too_large")] * 2


async def test_a_delivery_that_meets_a_fault_holds_up_no_other(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    await active(api, "one", {"type": "event", "event": "e"})
    received = {"id": "1", "name": "e", "data": None}

    async def owing(name: str, given: Any) -> None:
        start = Start("one", 1, f"{customer}-{name}", given=given)
        now = datetime.now(UTC)
        made = Delivery(start.run_id, customer, "event", "e", None, ACCEPTED, received, now, starts=(start,))
        await house.deliveries.accept(made, None)
        await house.deliveries.leave(made.id, timedelta(seconds=-60))

    await owing("bad", 7)  # nothing that this program writes: a fault of ours
    await owing("good", None)

    assert (await ended(api, f"{customer}-good"))["status"] == "completed"
    assert (await house.deliveries.get(customer, f"{customer}-bad")).pending
    refused = await api.post(f"/deliveries/{customer}-bad/redrive")
    assert refused.status_code == 409
    assert "still being worked on" in refused.json()["detail"]


async def test_an_event_that_is_owed_starts_with_its_own_data(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    await active(api, "one", {"type": "event", "event": "e"})
    start = Start("one", 1, f"{customer}-owed")
    received = {"id": "e1", "name": "e", "data": "first"}
    made = Delivery(
        f"{customer}-d", customer, "event", "e", "e1", ACCEPTED, received, datetime.now(UTC), starts=(start,)
    )
    await house.deliveries.accept(made, "event:e1")
    again = asyncio.create_task(api.post("/events", json={"id": "e1", "name": "e", "data": "second"}))
    await house.deliveries.leave(made.id, timedelta(seconds=-1))

    assert (await ended(api, f"{customer}-owed"))["context"]["seen"]["data"] == "first"
    assert (await again).json()["outcome"] == "duplicate"


# Webhooks


async def test_one_answer_is_given_once_however_often_it_comes(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "ok"}
    await active(api, "one", hook("in", resume=resume, idempotency_header="X-Id"))
    for number in range(3):
        two = {"a": {"type": "wait", "config": {"event": "ok"}}, "b": {"type": "wait", "config": {"event": "ok"}}}
        run_id = await started(api, two, "trigger -> a", "a -> b")

        answers = await asyncio.gather(
            *(hooks.post("/in", params={"run": run_id}, headers={"x-id": f"{number}"}) for _ in range(6))
        )

        assert {answer.status_code for answer in answers} == {202}
        waiting = await stands(api, run_id, "waiting")
        assert [wait["node_id"] for wait in waiting["waiting_for"]] == ["b"]
        await api.post(f"/runs/{run_id}/cancel")


async def test_an_answer_that_came_to_nothing_can_be_sent_again(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient, customer: str, world: World
) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "go"}
    await active(api, "one", hook("in", resume=resume, idempotency_header="X-Id"))
    run_id = f"{customer}-later"
    asked = {"params": {"run": run_id}, "headers": {"x-id": "1"}}
    assert (await hooks.post("/in", **asked)).status_code == 409
    await world.start(planned({"a": WAIT}, "trigger -> a", customer=customer), run_id=run_id)

    again = await hooks.post("/in", **asked)

    assert (again.status_code, again.json()["state"]) == (202, "resumed")


async def test_a_signature_with_a_timestamp_is_good_for_nothing_else(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await active(api, "named", hook("named", secret="k", timestamp_header="X-T", tolerance_seconds=60))
    await active(api, "plain", hook("plain", secret="k"))
    old, now, body = int(time.time()) - 900, int(time.time()), b'{"a":1}'
    captured = {SIGNATURE: signed("k", body, old), "content-type": "text/plain"}
    tries = {
        "honest replay": ("/named", body, {"X-T": str(old)}),
        "time moved into the body": ("/named", f"{old}.".encode() + body, {"X-T": str(now)}),
        "without its time": ("/plain", f"{old}.".encode() + body, {}),
        "with another time": ("/plain", body, {TIMESTAMP: str(now)}),
    }

    status = {
        case: (await hooks.post(path, content=sent, headers=captured | more)).status_code
        for case, (path, sent, more) in tries.items()
    }

    assert status == dict.fromkeys(tries, 401)
    bare = await hooks.post("/plain", content=body, headers={SIGNATURE: signed("k", body), TIMESTAMP: str(now)})
    assert bare.status_code == 401, "a time that is sent is signed"


async def test_a_secret_that_is_not_set_lets_nobody_in(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SECRET_EMPTY", "")
    for name in ("empty", "missing"):
        await active(api, name, hook(name, secret=f"{{{{ secrets.{name} }}}}"))

        answer = await hooks.post(f"/{name}", content=b"x", headers={SIGNATURE: signed("", b"x")})

        assert (answer.status_code, answer.json()["code"]) == (503, "secret_missing")
        assert name not in answer.json()["detail"]


async def test_nothing_of_a_request_is_read_before_its_signature(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await active(api, "one", hook("in", secret="k"))
    kind = {"content-type": "application/json"}

    strange = await hooks.post("/in", content=b"{", headers=kind)
    broken = await hooks.post("/in", content=b"{", headers={**kind, SIGNATURE: signed("k", b"{")})

    assert (strange.status_code, broken.status_code, broken.json()["code"]) == (401, 400, "json_syntax")
    rejected = (await api.get("/deliveries", params={"outcome": "rejected"})).json()["items"]
    assert len(rejected) == 2
    await api.post("/workflows/one/pause")
    paused = await hooks.post("/in", content=b"{}", headers={**kind, SIGNATURE: signed("k", b"{}")})
    assert (paused.status_code, "one" in paused.json()["detail"].split()) == (409, False)


async def test_a_header_that_comes_twice_keeps_both_values(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await active(api, "one", hook("in"))

    answer = await hooks.post("/in", headers=[("x-a", "1"), ("x-a", "2")])

    assert (await ended(api, answer.json()["run_id"]))["context"]["seen"]["headers"]["x-a"] == "1, 2"


async def test_a_flood_of_refused_requests_uses_up_nothing_of_the_customers(world: World, tmp_path: Path) -> None:
    async with (
        served_from(world, tmp_path, rate_limit="5/minute") as (house, address),
        httpx.AsyncClient(base_url=f"{address}/api/v1") as api,
    ):
        await active(api, "one", hook("in", secret="k"))
        body = b"{}"
        refused = [(await api.post("/hooks/default/in", content=body)).status_code for _ in range(8)]
        good = await api.post("/hooks/default/in", content=body, headers={SIGNATURE: signed("k", body)})
        written = await house.deliveries.page("default", outcome="rejected")

    assert refused == [401] * 5 + [429] * 3
    assert good.status_code == 202
    assert len(written) == 5


# Schedules


async def test_schedules_of_another_store_are_left_alone(world: World, tmp_path: Path) -> None:
    async with (
        dev_server(tmp_path / "temporal") as server,
        opened(server) as alone,
        served_from(alone, tmp_path / "one") as (_, address),
        _asking(address) as api,
    ):
        await keep(api, "mine", EVERY_MINUTE)
        await api.post("/workflows/mine/activate")
        async with served_from(alone, tmp_path / "two") as (other, there), _asking(there) as second:
            assert await other.reconciler.repair() == 0
            await keep(second, "mine", EVERY_MINUTE)
            taken = await second.post("/workflows/mine/activate")
        shown = (await api.get("/workflows/mine/schedule")).json()

    assert (taken.status_code, "another database" in taken.json()["detail"]) == (409, True)
    assert shown["installed"] is True


def _asking(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=30)


async def test_a_schedule_that_was_removed_by_hand_is_seen_and_made_anew(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    await keep(api, "w", EVERY_MINUTE)
    await api.post("/workflows/w/activate")
    await house.schedules.remove(customer, "w")

    seen = await api.get("/workflows/w/schedule")

    assert (seen.status_code, seen.json()["installed"]) == (200, False)
    await house.schedules.remove(customer, "w")
    await api.post("/workflows/w/activate")
    assert (await api.get("/workflows/w/schedule")).json()["installed"] is True


async def test_one_schedule_that_cannot_be_installed_holds_up_no_other(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    """One whose plan says what this program never writes stands for whatever nobody has thought of."""
    await keep(api, "bad", EVERY_MINUTE)
    await keep(api, "good", EVERY_MINUTE)
    stored = await house.workflows.definitions.get(customer, "bad")
    await house.workflows.definitions.publish(stored, stored.definition, {"scope": 7}, by="a fault")
    await api.post("/workflows/good/activate")
    await house.schedules.remove(customer, "good")

    async def repaired() -> bool:
        await house.reconciler.repair()
        return bool((await api.get("/workflows/good/schedule")).json()["installed"])

    assert await until(repaired)
    assert (await api.delete("/workflows/bad")).status_code == 204


# The index of runs


async def test_the_index_learns_of_runs_that_temporal_knows_no_more(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    run_id = await world.start(planned({"a": WAIT}, "trigger -> a", customer=customer))
    async with served_from(world, tmp_path) as (house, _):

        async def known() -> Any:
            return await house.index.get(customer, run_id)

        run = await until(known)
        request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace)
        request.workflow_execution.workflow_id = run_id
        await world.client.workflow_service.delete_workflow_execution(request)

        async def swept() -> bool:
            await house.indexer.sweep(run.started_at + timedelta(hours=1))
            return (await known()).status == "cancelled"

        await until(swept)


async def test_a_run_that_continued_as_new_is_listed_with_its_first_start(tmp_path: Path) -> None:
    config = ("limit.historyCount.suggestContinueAsNew=40",)
    async with dev_server(tmp_path / "short", dynamic_config=config) as server, opened(server) as world:
        customer, _ = world.script()
        nodes = {"l": {"type": "loop", "collection": 30, "body": ["work"]}, "work": "work"}
        run_id = await world.start(planned(nodes, "trigger -> l", customer=customer))
        run = await world.ended(run_id)
        async with served_from(world, tmp_path / "anew") as (house, _):

            async def listed() -> Any:
                found = await house.index.get(customer, run_id)
                return found if found is not None and found.completed_at else None

            found = await until(listed)

    assert abs((found.started_at - run.started_at).total_seconds()) < 0.5
    assert abs(found.duration_ms - run.duration_ms) < 500


async def test_a_key_is_not_taken_by_what_is_too_large(api: httpx.AsyncClient) -> None:
    large = definition(SET, "trigger -> a", variables={"text": "x" * 885_000})
    assert (await api.post("/workflows", json=large | {"id": "w", "trigger": {"type": "manual"}})).status_code == 201
    key = {"idempotency-key": "one"}

    refused = await api.post("/workflows/w/runs", json={"input": "x" * 1_040_000}, headers=key)
    taken = await api.post("/workflows/w/runs", json={"input": "small"}, headers=key)

    assert (refused.status_code, taken.status_code) == (409, 202), taken.text


async def test_a_namespace_without_its_search_attributes_is_not_ready(tmp_path: Path) -> None:
    async with dev_server(tmp_path / "temporal") as server:
        settings = Settings(home=tmp_path, temporal_address=server.address, temporal_namespace="bare")
        runs = Runs(await connect(settings), settings)
        day = Duration(seconds=86_400)
        request = RegisterNamespaceRequest(namespace="bare", workflow_execution_retention_period=day)
        await runs.client.workflow_service.register_namespace(request)
        plan = check(definition(SET, "trigger -> a") | {"id": "w"}).require()

        async def told() -> str:
            with pytest.raises(ServerUnavailable) as caught:
                await runs.start(plan)
            return str(caught.value)

        async with asyncio.timeout(30):
            while "is not ready" not in await told():  # at first the namespace itself is not known everywhere
                await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_webhook_whose_run_has_started_says_so_whatever_becomes_of_the_server(tmp_path: Path) -> None:
    nodes, edges = [{"id": "a", **WAIT}], [{"source": "trigger", "target": "a"}]
    async with (
        dev_server(tmp_path / "temporal") as server,
        opened(server) as world,
        served_from(world, tmp_path / "home") as (_, base),
        httpx.AsyncClient(base_url=f"{base}/api/v1", timeout=60) as api,
    ):
        await active(api, "one", hook("in", respond="output"), nodes=nodes, edges=edges)
        asked = asyncio.create_task(api.post("/hooks/default/in"))

        async def accepted() -> bool:
            items = (await api.get("/deliveries")).json()["items"]
            return bool(items) and items[0]["states"] == {"started": 1}

        await until(accepted)
        os.kill(server.pid, signal.SIGKILL)
        answer = await asked

    assert (answer.status_code, answer.json()["state"]) == (202, "started"), answer.text


async def test_a_word_that_no_worker_hears_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "QUERY_SECONDS", 0.5)
    monkeypatch.setattr(run_tree, "QUERY_SECONDS", 0.5)
    runs = Runs(world.client, world.runs.settings.model_copy(update={"task_queue": "nobody-is-there"}))
    run_id = (await runs.start(planned({"a": "work"}, "trigger -> a", customer="nobody"))).id

    with pytest.raises(ServerUnavailable, match="no worker answers"):
        await runs.resolve(run_id, "a", "skip")

    await runs.terminate(run_id)
