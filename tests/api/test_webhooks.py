"""Webhooks: each request starts a run or resumes one, once."""

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from orchestrator.temporal.devserver import run_dev_server
from tests.api.support import (
    CLIENT_SECONDS,
    SIGNATURE,
    TIMESTAMP,
    WAIT,
    create_active_workflow,
    make_hook,
    serve_api,
    sign,
    start_run,
    wait_for_end,
    wait_for_status,
)
from tests.temporal.world import World, make_definition, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal


@pytest.fixture
async def orders(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of webhooks, one of which is `shop/orders`."""
    await create_active_workflow(api, "one", make_hook("shop/orders", methods=["POST", "PUT"]))
    return hooks


async def test_a_webhook_starts_a_run_with_the_request_as_its_trigger(
    api: httpx.AsyncClient, orders: httpx.AsyncClient
) -> None:
    answer = await orders.post(
        "/shop/orders", params={"a": "1", "b": ["2", "3"]}, json={"total": 4}, headers={"authorization": "secret"}
    )
    trigger = (await wait_for_end(api, answer.json()["run_id"]))["context"]["seen"]

    assert answer.status_code == 202
    assert (trigger["body"], trigger["query"]) == ({"total": 4}, {"a": "1", "b": ["2", "3"]})
    assert (trigger["method"], trigger["headers"]["content-type"]) == ("POST", "application/json")
    assert "authorization" not in trigger["headers"]


async def test_a_form_becomes_an_object(api: httpx.AsyncClient, orders: httpx.AsyncClient) -> None:
    answer = await orders.post("/shop/orders", data={"x": "1"})

    assert (await wait_for_end(api, answer.json()["run_id"]))["context"]["seen"]["body"] == {"x": "1"}


async def test_a_method_that_a_webhook_does_not_accept_is_rejected_and_recorded(
    api: httpx.AsyncClient, orders: httpx.AsyncClient
) -> None:
    refused = await orders.get("/shop/orders")
    rejected = (await api.get("/deliveries", params={"outcome": "rejected"})).json()["items"]

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, PUT")
    assert [each["received"] for each in rejected] == [{"method": "GET", "path": "shop/orders"}]


async def test_an_unknown_path_is_not_found_and_bad_json_is_a_bad_request(orders: httpx.AsyncClient) -> None:
    unknown = await orders.post("/shop/other")
    broken = await orders.post("/shop/orders", content=b"{", headers={"content-type": "application/json"})

    assert (unknown.status_code, broken.status_code) == (404, 400)


async def test_a_webhook_answers_with_the_output(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    nodes = [{"id": "done", "type": "end", "config": {"output": {"echo": "{{ trigger.body }}"}}}]
    edges = [{"source": "trigger", "target": "done"}]
    await create_active_workflow(api, "one", make_hook("echo", respond="output"), nodes=nodes, edges=edges)

    answer = await hooks.post("/echo", json=[1, 2])

    assert (answer.status_code, answer.json()) == (200, {"echo": [1, 2]})
    failing = [{"id": "done", "type": "end", "config": {"outcome": "failed", "message": "no stock"}}]
    await create_active_workflow(api, "two", make_hook("fail", respond="output"), nodes=failing, edges=edges)
    failed = await hooks.post("/fail")
    assert (failed.status_code, failed.json()["code"]) == (502, "run_failed")
    assert "no stock" in failed.json()["detail"]


async def test_a_webhook_starts_once_per_key(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in", idempotency_header="X-Request-Id"))

    answers = [(await hooks.post("/in", headers={"x-request-id": key})).json() for key in ("a", "a", "b")]

    assert [answer["duplicate"] for answer in answers] == [False, True, False]
    assert answers[0]["run_id"] == answers[1]["run_id"] != answers[2]["run_id"]


async def test_a_key_stands_for_one_request(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in", idempotency_header="X-Id"))
    first = await hooks.post("/in", json=[1], headers={"x-id": "a", "x-attempt": "1"})

    again = await hooks.post("/in", json=[1], headers={"x-id": "a", "x-attempt": "2"})
    others = [
        await hooks.post("/in", json=[2], headers={"x-id": "a"}),
        await hooks.post("/in", params={"b": 1}, json=[1], headers={"x-id": "a"}),
    ]

    assert again.json() == first.json() | {"delivery_id": again.json()["delivery_id"], "duplicate": True}
    assert [(each.status_code, each.json()["code"]) for each in others] == [(422, "idempotency_key_reused")] * 2


async def test_a_key_may_be_in_the_body(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    """Stripe signs a new time for each attempt: only the ID of its event tells that two requests are one event."""
    await create_active_workflow(api, "one", make_hook("in", secret="k", idempotency_key="{{ body.id }}"))
    body = b'{"id": "evt_1"}'

    answers = []
    for moment in (int(time.time()) - 1, int(time.time())):
        headers = {"content-type": "application/json", SIGNATURE: sign("k", body, moment), TIMESTAMP: str(moment)}
        answers.append((await hooks.post("/in", content=body, headers=headers)).json())

    assert [answer["duplicate"] for answer in answers] == [False, True]


async def test_the_filter_of_a_webhook_decides_what_starts(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    opened = {"field": "body.action", "operator": "equals", "value": "opened"}
    await create_active_workflow(api, "one", make_hook("in", filter=opened))

    started = await hooks.post("/in", json={"action": "opened"})
    ignored = await hooks.post("/in", json={"action": "closed"})

    assert (started.json()["state"], ignored.status_code) == ("started", 202)
    assert (ignored.json()["state"], ignored.json()["run_id"]) == ("filtered", None)
    delivery = (await api.get(f"/deliveries/{ignored.json()['delivery_id']}")).json()
    assert delivery["asked"][0]["decision"]["compared"][0]["seen"] == "closed"
    assert delivery["reason"] == "no workflow starts: 1 filtered out"


async def test_a_webhook_resumes_a_waiting_run_or_starts_one(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "approval"}
    nodes = [{"id": "wait", "type": "wait", "config": {"event": "approval"}}]
    await create_active_workflow(
        api, "one", make_hook("in", resume=resume), nodes=nodes, edges=[{"source": "trigger", "target": "wait"}]
    )  # fmt: skip
    started = (await hooks.post("/in")).json()

    answered = await hooks.post("/in", params={"run": started["run_id"]}, json={"ok": True})

    assert (answered.json()["state"], answered.json()["run_id"]) == ("resumed", started["run_id"])
    run = await wait_for_end(api, started["run_id"])
    assert run["steps"][0]["output_data"]["payload"]["body"] == {"ok": True}
    late = await hooks.post("/in", params={"run": started["run_id"]})
    assert late.status_code == 409
    assert (await hooks.post("/in", params={"run": "nobody"})).status_code == 409


async def test_two_workflows_of_a_customer_cannot_share_a_path(api: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in"))
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a") | {
        "id": "two",
        "trigger": make_hook("in"),
    }
    await api.post("/workflows", json=definition)

    answer = await api.post("/workflows/two/activate")

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_taken")
    assert (await api.get("/workflows/two")).json()["status"] == "draft"


async def test_a_repeated_request_resumes_a_run_once(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "ok"}
    await create_active_workflow(api, "one", make_hook("in", resume=resume, idempotency_header="X-Id"))
    for number in range(3):
        two = {"a": {"type": "wait", "config": {"event": "ok"}}, "b": {"type": "wait", "config": {"event": "ok"}}}
        run_id = await start_run(api, two, "trigger -> a", "a -> b")

        answers = await asyncio.gather(
            *(hooks.post("/in", params={"run": run_id}, headers={"x-id": f"{number}"}) for _ in range(6))
        )

        assert {answer.status_code for answer in answers} == {202}
        waiting = await wait_for_status(api, run_id, "waiting")
        assert [wait["node_id"] for wait in waiting["waiting_for"]] == ["b"]
        await api.post(f"/runs/{run_id}/cancel")


async def test_a_request_that_resumed_nothing_can_be_sent_again(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient, customer: str, world: World
) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "go"}
    await create_active_workflow(api, "one", make_hook("in", resume=resume, idempotency_header="X-Id"))
    run_id = f"{customer}-later"
    request = {"params": {"run": run_id}, "headers": {"x-id": "1"}}
    assert (await hooks.post("/in", **request)).status_code == 409
    await world.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer), run_id=run_id)

    again = await hooks.post("/in", **request)

    assert (again.status_code, again.json()["state"]) == (202, "resumed")


async def test_a_repeated_header_keeps_both_values(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in"))

    answer = await hooks.post("/in", headers=[("x-a", "1"), ("x-a", "2")])

    assert (await wait_for_end(api, answer.json()["run_id"]))["context"]["seen"]["headers"]["x-a"] == "1, 2"


async def test_rejected_requests_do_not_use_up_the_rate_limit_of_valid_ones(world: World, tmp_path: Path) -> None:
    async with (
        serve_api(world, tmp_path, rate_limit="5/year") as (services, address),
        httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=CLIENT_SECONDS) as api,
    ):
        await create_active_workflow(api, "one", make_hook("in", secret="k"))
        body = b"{}"
        refused = [(await api.post("/hooks/default/in", content=body)).status_code for _ in range(8)]
        good = await api.post("/hooks/default/in", content=body, headers={SIGNATURE: sign("k", body)})
        written = await services.events.deliveries.list_deliveries("default", outcome="rejected")

    assert refused == [401] * 5 + [429] * 3
    assert good.status_code == 202
    assert len(written) == 5


@pytest.mark.slow
async def test_a_webhook_reports_a_started_run_although_the_server_died(tmp_path: Path) -> None:
    nodes, edges = [{"id": "a", **WAIT}], [{"source": "trigger", "target": "a"}]
    async with (
        run_dev_server(tmp_path / "temporal") as server,
        open_world(server) as world,
        serve_api(world, tmp_path / "home") as (_, base),
        httpx.AsyncClient(base_url=f"{base}/api/v1", timeout=CLIENT_SECONDS) as api,
    ):
        hook = make_hook("in", respond="output", timeout_seconds=15)
        await create_active_workflow(api, "one", hook, nodes=nodes, edges=edges)
        asked = asyncio.create_task(api.post("/hooks/default/in"))

        async def is_started() -> bool:
            items = (await api.get("/deliveries")).json()["items"]
            return bool(items) and items[0]["states"] == {"started": 1}

        await wait_until(is_started)
        os.kill(server.pid, signal.SIGKILL)
        answer = await asked

    assert (answer.status_code, answer.json()["state"]) == (202, "started"), answer.text
