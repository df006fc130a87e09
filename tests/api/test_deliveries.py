"""Deliveries: an accepted one is started whatever happens in between, and can be redriven."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from orchestrator.service.process_pool import Busy
from orchestrator.service.services import Services
from orchestrator.store.deliveries import ACCEPTED, Delivery, Start
from tests.api.support import create_active_workflow, make_hook, wait_for_end

pytestmark = pytest.mark.temporal


async def test_a_delivery_can_be_redriven(api: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "order.paid"})
    first = (await api.post("/events", json={"id": "e1", "name": "order.paid", "data": 7})).json()

    again = (await api.post(f"/deliveries/{first['id']}/redrive")).json()

    assert (again["redrive_of"], again["outcome"]) == (first["id"], "accepted")
    assert again["runs"][0]["run_id"] != first["runs"][0]["run_id"]
    assert (await wait_for_end(api, again["runs"][0]["run_id"]))["context"]["seen"]["data"] == 7
    assert (await api.post("/deliveries/none/redrive")).status_code == 404


@pytest.mark.slow
async def test_pending_starts_are_completed_after_a_crash(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    """Accepted and never started: what `kill -9` leaves between the two, once the claim has timed out."""
    await create_active_workflow(api, "one", {"type": "event", "event": "order.paid"})
    received = {"id": "e1", "name": "order.paid", "data": 7}
    start = Start("one", 1, f"{customer}-pending")
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    owing = Delivery(
        f"{customer}-delivery", customer, "event", "order.paid", "e1", ACCEPTED, received, long_ago, starts=(start,)
    )
    await services.events.deliveries.accept(owing, "event:e1")
    await services.events.deliveries.postpone(owing.id, timedelta(seconds=-1))

    assert (await wait_for_end(api, f"{customer}-pending"))["context"]["seen"] == received
    again = (await api.post("/events", json={"id": "e1", "name": "order.paid", "data": 7})).json()
    assert (again["outcome"], again["runs"][0]["run_id"]) == ("duplicate", f"{customer}-pending")


@pytest.mark.slow
async def test_a_start_that_finds_the_server_busy_is_pending(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed for good: the event had been accepted, and was lost."""
    await create_active_workflow(api, "one", {"type": "event", "event": "e"})

    async def refuse(_: Any) -> None:
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(services.events.plans, "load", refuse)
        delivery = (await api.post("/events", json={"id": "e1", "name": "e"})).json()
    await services.events.deliveries.postpone(delivery["id"], timedelta(seconds=-1))

    assert [run["state"] for run in delivery["runs"]] == ["pending"]
    assert (await wait_for_end(api, delivery["runs"][0]["run_id"]))["status"] == "completed"


@pytest.mark.slow
async def test_a_broken_delivery_does_not_block_others(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "e"})
    received = {"id": "1", "name": "e", "data": None}

    async def accept(name: str, input_data: Any) -> None:
        start = Start("one", 1, f"{customer}-{name}", input_data=input_data)
        now = datetime.now(UTC)
        delivery = Delivery(start.run_id, customer, "event", "e", None, ACCEPTED, received, now, starts=(start,))
        await services.events.deliveries.accept(delivery, None)
        await services.events.deliveries.postpone(delivery.id, timedelta(seconds=-60))

    await accept("bad", 7)  # never written by this program: causes an internal error
    await accept("good", None)

    assert (await wait_for_end(api, f"{customer}-good"))["status"] == "completed"
    assert (await services.events.deliveries.get(customer, f"{customer}-bad")).pending
    refused = await api.post(f"/deliveries/{customer}-bad/redrive")
    assert refused.status_code == 409
    assert "still has pending starts" in refused.json()["detail"]


@pytest.mark.slow
async def test_a_pending_event_starts_with_its_own_data(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "e"})
    start = Start("one", 1, f"{customer}-pending")
    received = {"id": "e1", "name": "e", "data": "first"}
    delivery = Delivery(
        f"{customer}-d", customer, "event", "e", "e1", ACCEPTED, received, datetime.now(UTC), starts=(start,)
    )
    await services.events.deliveries.accept(delivery, "event:e1")
    again = asyncio.create_task(api.post("/events", json={"id": "e1", "name": "e", "data": "first"}))
    await services.events.deliveries.postpone(delivery.id, timedelta(seconds=-1))

    assert (await wait_for_end(api, f"{customer}-pending"))["context"]["seen"]["data"] == "first"
    assert (await again).json()["outcome"] == "duplicate"


@pytest.mark.slow
async def test_what_comes_for_a_paused_workflow_starts_once_after_its_activation(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "e"})
    await create_active_workflow(api, "two", {"type": "event", "event": "e"})
    await create_active_workflow(api, "hook", make_hook("in", idempotency_header="X-Id"))
    await api.post("/workflows/one/pause")
    await api.post("/workflows/hook/pause")
    events = [(await api.post("/events", json={"id": f"e{n}", "name": "e", "data": n})).json() for n in range(3)]
    asked = await hooks.post("/in", json={"n": 1}, headers={"X-Id": "a"})
    selection = {"workflow_id": "one", "received_after": events[1]["received_at"]}
    early = await api.post("/deliveries/redrive", json=selection)
    await api.post("/workflows/one/activate")
    await api.post("/workflows/hook/activate")

    released = [(await api.post("/deliveries/redrive", json=selection)).json() for _ in range(2)]
    single = (await api.post(f"/deliveries/{asked.json()['delivery_id']}/redrive")).json()

    assert [[run["state"] for run in event["runs"]] for event in events] == [["paused", "started"]] * 3
    assert (asked.status_code, asked.json()["state"], early.status_code) == (202, "paused", 409)
    assert released == [{"released": 2}, {"released": 0}]
    assert (single["outcome"], single["runs"][0]["state"]) == ("accepted", "started")
    assert single["runs"][0]["run_id"] == asked.json()["run_id"]
    for number in (1, 2):
        run = await wait_for_end(api, events[number]["runs"][0]["run_id"])
        assert run["context"]["seen"]["data"] == number
    left = (await api.get(f"/deliveries/{events[0]['id']}")).json()
    assert left["states"] == {"paused": 1, "started": 1}
    again = await hooks.post("/in", json={"n": 1}, headers={"X-Id": "a"})
    assert (again.json()["state"], again.json()["duplicate"]) == ("started", True)


async def test_a_delivery_for_paused_workflows_alone_is_listed_as_paused(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await create_active_workflow(api, "hook", make_hook("in", respond={"body": "{{ trigger.body.challenge }}"}))
    await api.post("/workflows/hook/pause")

    answer = await hooks.post("/in", json={"challenge": "abc"})
    listed = (await api.get("/deliveries", params={"outcome": "paused"})).json()["items"]

    assert answer.content == b"abc"
    assert [(each["received"]["body"], each["reason"]) for each in listed] == [
        ({"challenge": "abc"}, "no workflow starts: 1 paused")
    ]
    refused = await api.post(f"/deliveries/{listed[0]['id']}/redrive")
    assert (refused.status_code, refused.json()["detail"]) == (409, "not active: hook")
    assert (await api.post("/deliveries/redrive", json={"workflow_id": "none"})).status_code == 404


async def test_a_redriven_duplicate_starts_what_the_first_delivery_has_pending(api: httpx.AsyncClient) -> None:
    """It waited for a start that nobody had begun."""
    await create_active_workflow(api, "one", {"type": "event", "event": "e"})
    await api.post("/workflows/one/pause")
    first, duplicate = [(await api.post("/events", json={"id": "e1", "name": "e", "data": 1})).json() for _ in range(2)]
    await api.post("/workflows/one/activate")

    redriven = (await api.post(f"/deliveries/{duplicate['id']}/redrive")).json()

    assert (duplicate["outcome"], redriven["id"]) == ("duplicate", first["id"])
    assert [run["state"] for run in redriven["runs"]] == ["started"]


async def test_a_filtered_request_to_a_webhook_that_resumes_runs_is_not_redriven(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    """It would start a new run in place of the one that it was meant for."""
    paid = {"field": "body.paid", "operator": "equals", "value": True}
    resume = {"run_id": "{{ body.run }}", "event": "paid"}
    await create_active_workflow(api, "hook", make_hook("in", filter=paid, resume=resume))
    filtered = await hooks.post("/in", json={"paid": False, "run": "some-run"})

    refused = await api.post(f"/deliveries/{filtered.json()['delivery_id']}/redrive")

    assert (filtered.status_code, filtered.json()["state"]) == (202, "filtered")
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "this webhook resumes runs: its request must be sent again",
    )
