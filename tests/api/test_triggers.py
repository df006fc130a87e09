"""Events, webhooks and schedules over HTTP: each starts what it should, once, and the ledger tells."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orchestrator.model.run import RunSummary
from orchestrator.service.events import matches
from orchestrator.service.services import House
from tests.temporal.world import definition, until

pytestmark = pytest.mark.temporal


async def active(api: httpx.AsyncClient, name: str, trigger: dict[str, Any], **more: Any) -> None:
    made = definition({"keep": {"type": "set", "config": {"seen": "{{ trigger }}"}}}, "trigger -> keep") | more
    answer = await api.post("/workflows", json=made | {"id": name, "trigger": trigger})
    assert answer.status_code == 201, answer.text
    answer = await api.post(f"/workflows/{name}/activate")
    assert answer.status_code == 200, answer.text


async def ended(api: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        answer = await api.get(f"/runs/{run_id}")
        return answer.json() if answer.status_code == 200 and answer.json()["completed_at"] else None

    found: dict[str, Any] = await until(seen)
    return found


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("order.paid", "order.paid", True),
        ("order.paid", "order.sent", False),
        ("order.*", "order.paid", True),
        ("order.*", "order", False),
        ("order.*", "order.paid.late", False),
        ("order.**", "order.paid.late", True),
        ("order.**", "order.paid", True),
        ("order.**", "order", False),
        ("**", "anything.at.all", True),
        ("*.paid", "order.paid", True),
        ("*", "order", True),
        ("*", "order.paid", False),
        ("*.**", "order.paid", True),
        ("*.**", "order", False),
    ],
)
def test_patterns_match_parts_of_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


async def test_an_event_starts_every_workflow_that_waits_for_it(api: httpx.AsyncClient) -> None:
    large = {"field": "data.total", "operator": "greater_than", "value": 100}
    await active(api, "one", {"type": "event", "event": "order.paid"})
    await active(api, "any", {"type": "event", "event": "order.*"})
    await active(api, "large", {"type": "event", "event": "order.paid", "config": {"filter": large}})
    await active(api, "paused", {"type": "event", "event": "order.paid"})
    await api.post("/workflows/paused/pause")

    answer = await api.post("/events", json={"id": "e1", "name": "order.paid", "data": {"total": 40}})

    body = answer.json()
    assert (answer.status_code, body["outcome"]) == (202, "accepted")
    assert {start["workflow_id"]: start["state"] for start in body["runs"]} == {"any": "started", "one": "started"}
    for start in body["runs"]:
        run = await ended(api, start["run_id"])
        assert run["context"]["seen"] == {"id": "e1", "name": "order.paid", "data": {"total": 40}}
        assert run["trigger_type"] == "event"


async def test_a_filter_that_cannot_be_decided_fails_its_own_start_alone(api: httpx.AsyncClient) -> None:
    """A pattern that comes with the event may be none: nobody else's start may fall with it."""
    matching = {"field": "data.name", "operator": "matches", "value": "{{ data.pattern }}"}
    await active(api, "good", {"type": "event", "event": "order.paid"})
    await active(api, "bad", {"type": "event", "event": "order.paid", "config": {"filter": matching}})

    answer = await api.post("/events", json={"name": "order.paid", "data": {"name": "a", "pattern": "(("}})

    states = {start["workflow_id"]: (start["state"], start["reason"]) for start in answer.json()["runs"]}
    assert (answer.status_code, states["good"]) == (202, ("started", None))
    assert states["bad"][0] == "failed"
    assert "the filter cannot be decided: the pattern '((' cannot be read" in states["bad"][1]


async def test_an_event_that_comes_again_starts_nothing(api: httpx.AsyncClient) -> None:
    await active(api, "one", {"type": "event", "event": "order.paid"})
    event = {"id": "e1", "name": "order.paid", "data": {}}

    answers = [answer.json() for answer in await asyncio.gather(*(api.post("/events", json=event) for _ in range(6)))]

    assert sorted(answer["outcome"] for answer in answers) == ["accepted", *["duplicate"] * 5]
    first = next(answer for answer in answers if answer["outcome"] == "accepted")
    assert {answer["runs"][0]["run_id"] for answer in answers} == {first["runs"][0]["run_id"]}
    assert {answer["duplicate_of"] for answer in answers} == {None, first["id"]}
    assert len((await api.get("/deliveries", params={"outcome": "duplicate"})).json()["items"]) == 5
    nameless = [(await api.post("/events", json={"name": "order.paid"})).json() for _ in range(2)]
    assert [answer["outcome"] for answer in nameless] == ["accepted"] * 2, "without an id each is its own"


async def test_a_delivery_can_be_driven_again(api: httpx.AsyncClient) -> None:
    await active(api, "one", {"type": "event", "event": "order.paid"})
    first = (await api.post("/events", json={"id": "e1", "name": "order.paid", "data": 7})).json()

    again = (await api.post(f"/deliveries/{first['id']}/redrive")).json()

    assert (again["redrive_of"], again["outcome"]) == (first["id"], "accepted")
    assert again["runs"][0]["run_id"] != first["runs"][0]["run_id"]
    assert (await ended(api, again["runs"][0]["run_id"]))["context"]["seen"]["data"] == 7
    assert (await api.post("/deliveries/none/redrive")).status_code == 404


async def test_what_a_crash_left_owed_is_started(api: httpx.AsyncClient, house: House, customer: str) -> None:
    """Accepted and never started: what `kill -9` leaves between the two."""
    from datetime import UTC, datetime, timedelta

    from orchestrator.store.deliveries import ACCEPTED, Delivery, Start

    await active(api, "one", {"type": "event", "event": "order.paid"})
    received = {"id": "e1", "name": "order.paid", "data": 7}
    start = Start("one", 1, f"{customer}-owed")
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    owing = Delivery(
        f"{customer}-delivery", customer, "event", "order.paid", "e1", ACCEPTED, received, long_ago, starts=(start,)
    )
    await house.deliveries.accept(owing, "event:e1")

    assert (await ended(api, f"{customer}-owed"))["context"]["seen"] == received
    again = (await api.post("/events", json={"id": "e1", "name": "order.paid"})).json()
    assert (again["outcome"], again["runs"][0]["run_id"]) == ("duplicate", f"{customer}-owed")


@pytest.fixture
async def hooks(place: tuple[House, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{place[1]}/api/v1/hooks/{customer}", timeout=30) as client:
        yield client


def hook(path: str, **config: Any) -> dict[str, Any]:
    return {"type": "webhook", "webhook_path": path, "config": config}


async def test_a_webhook_starts_a_run_with_the_request_as_its_trigger(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await active(api, "one", hook("shop/orders", methods=["POST", "PUT"]))

    answer = await hooks.post(
        "/shop/orders", params={"a": "1", "b": ["2", "3"]}, json={"total": 4}, headers={"authorization": "secret"}
    )

    assert answer.status_code == 202
    seen = (await ended(api, answer.json()["run_id"]))["context"]["seen"]
    assert (seen["body"], seen["query"], seen["method"]) == ({"total": 4}, {"a": "1", "b": ["2", "3"]}, "POST")
    assert seen["headers"]["content-type"] == "application/json"
    assert "authorization" not in seen["headers"]
    refused = await hooks.get("/shop/orders")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, PUT")
    assert (await hooks.post("/shop/other")).status_code == 404
    rejected = (await api.get("/deliveries", params={"outcome": "rejected"})).json()["items"]
    assert [each["received"] for each in rejected] == [{"method": "GET", "path": "shop/orders"}]
    form = await hooks.post("/shop/orders", data={"x": "1"})
    assert (await ended(api, form.json()["run_id"]))["context"]["seen"]["body"] == {"x": "1"}
    assert (
        await hooks.post("/shop/orders", content=b"{", headers={"content-type": "application/json"})
    ).status_code == 400


def signed(secret: str, body: bytes, moment: int | None = None) -> str:
    message = body if moment is None else f"{moment}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


async def test_a_signed_webhook_takes_nothing_else(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await active(api, "one", hook("in", secret="s3cret", tolerance_seconds=60))
    now, body = int(time.time()), b'{"a":1}'
    name, when = "X-Orchestrator-Signature", "X-Orchestrator-Timestamp"
    answers = {
        "unsigned": {},
        "wrong": {name: signed("other", body)},
        "not even ascii": {name: "sha256=\u00e4"},
        "other body": {name: signed("s3cret", b'{"a":2}')},
        "long ago": {name: signed("s3cret", body, now - 600), when: str(now - 600)},
        "no time": {name: signed("s3cret", body), when: "nan"},
        "moved time": {name: signed("s3cret", body, now - 600), when: str(now)},
        "body": {name: signed("s3cret", body)},
        "body and time": {name: signed("s3cret", body, now), when: str(now)},
    }

    status = {
        case: (await hooks.post("/in", content=body, headers={k: v.encode() for k, v in headers.items()})).status_code
        for case, headers in answers.items()
    }

    taken = {"body": 202, "body and time": 202}
    assert status == {case: taken.get(case, 401) for case in answers}


async def test_a_webhook_answers_with_the_output(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    nodes = [{"id": "done", "type": "end", "config": {"output": {"echo": "{{ trigger.body }}"}}}]
    edges = [{"source": "trigger", "target": "done"}]
    await active(api, "one", hook("echo", respond="output"), nodes=nodes, edges=edges)

    answer = await hooks.post("/echo", json=[1, 2])

    assert (answer.status_code, answer.json()) == (200, {"echo": [1, 2]})
    failing = [{"id": "done", "type": "end", "config": {"outcome": "failed", "message": "no stock"}}]
    await active(api, "two", hook("fail", respond="output"), nodes=failing, edges=edges)
    failed = await hooks.post("/fail")
    assert (failed.status_code, failed.json()["code"]) == (502, "run_failed")
    assert "no stock" in failed.json()["detail"]


async def test_a_webhook_is_taken_once_for_each_key(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await active(api, "one", hook("in", idempotency_header="X-Request-Id"))

    answers = [(await hooks.post("/in", headers={"x-request-id": key})).json() for key in ("a", "a", "b")]

    assert [answer["duplicate"] for answer in answers] == [False, True, False]
    assert answers[0]["run_id"] == answers[1]["run_id"] != answers[2]["run_id"]


async def test_a_webhook_answers_a_run_that_waits_or_starts_one(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    resume = {"run_id": "{{ query.run }}", "event": "approval"}
    nodes = [{"id": "wait", "type": "wait", "config": {"event": "approval"}}]
    await active(
        api, "one", hook("in", resume=resume), nodes=nodes, edges=[{"source": "trigger", "target": "wait"}]
    )  # fmt: skip
    started = (await hooks.post("/in")).json()

    answered = await hooks.post("/in", params={"run": started["run_id"]}, json={"ok": True})

    assert (answered.json()["state"], answered.json()["run_id"]) == ("resumed", started["run_id"])
    run = await ended(api, started["run_id"])
    assert run["steps"][0]["output_data"]["payload"]["body"] == {"ok": True}
    late = await hooks.post("/in", params={"run": started["run_id"]})
    assert late.status_code == 409
    assert (await hooks.post("/in", params={"run": "nobody"})).status_code == 409


async def test_two_workflows_of_a_customer_cannot_share_a_path(api: httpx.AsyncClient) -> None:
    await active(api, "one", hook("in"))
    made = definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a") | {"id": "two", "trigger": hook("in")}
    await api.post("/workflows", json=made)

    answer = await api.post("/workflows/two/activate")

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_taken")
    assert (await api.get("/workflows/two")).json()["status"] == "draft"


EVERY_MINUTE = {"type": "schedule", "interval_seconds": 3600, "config": {"input": {"from": "schedule"}}}


async def test_a_schedule_is_installed_paused_and_removed(api: httpx.AsyncClient, house: House, customer: str) -> None:
    made = definition({"a": {"type": "set", "config": {"x": "{{ input.from }}"}}}, "trigger -> a")
    await api.post("/workflows", json=made | {"id": "w", "trigger": EVERY_MINUTE})
    preview = (await api.get("/workflows/w/schedule", params={"count": 3})).json()
    await api.post("/workflows/w/activate")
    installed = (await api.get("/workflows/w/schedule", params={"count": 3})).json()

    assert (preview["installed"], installed["installed"]) == (False, True)
    assert preview["next_times"] == installed["next_times"]
    assert (await api.post("/workflows/w/schedule/trigger")).status_code == 202

    async def listed() -> list[Any]:
        return list((await api.get("/runs", params={"trigger": "schedule"})).json()["items"])

    run = (await until(listed))[0]
    assert (await ended(api, run["id"]))["context"]["x"] == "schedule"
    await api.post("/workflows/w/pause")
    assert (await api.get("/workflows/w/schedule")).json()["paused"] is True
    await api.post("/workflows/w/archive")
    gone = await api.post("/workflows/w/schedule/trigger")
    assert gone.status_code == 409
    assert await house.workflows.definitions.trigger(customer, "w") is None, "nothing is left to be removed"


async def test_a_backfill_starts_what_was_missed(api: httpx.AsyncClient) -> None:
    made = definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=made | {"id": "w", "trigger": EVERY_MINUTE})
    await api.post("/workflows/w/activate")
    span = {"start_at": "2026-03-01T00:00:00Z", "end_at": "2026-03-01T03:00:00Z"}

    answers = await asyncio.gather(*(api.post("/workflows/w/schedule/backfill", json=span) for _ in range(4)))

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [202, 409, 409, 409], "who asks at the same time starts nothing twice"
    assert {"runs": 4} in [answer.json() for answer in answers]

    async def listed() -> bool:
        return len((await api.get("/runs", params={"trigger": "schedule"})).json()["items"]) == 4

    await until(listed)


async def test_a_backfill_leaves_out_what_temporal_has_forgotten(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    made = definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=made | {"id": "w", "trigger": EVERY_MINUTE})
    await api.post("/workflows/w/activate")
    first, last = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 1, 3, tzinfo=UTC)
    prefix = await house.schedules.run_prefix(customer, "w")
    kept = RunSummary(
        id=f"{prefix}2025-03-01T01:00:00Z", workflow_id="w", workflow_version=1, customer_id=customer,
        status="completed", trigger_type="schedule", started_at=first, completed_at=last, duration_ms=1,
    )  # fmt: skip
    by_hand = kept.model_copy(update={"id": f"{prefix}2025-03-01T01:59:00Z"})
    await house.index.put([kept, by_hand])

    assert await house.reconciler.backfill(customer, "w", first, last) == 3


async def test_the_reconciler_repairs_what_temporal_lost_or_kept(
    api: httpx.AsyncClient, house: House, customer: str
) -> None:
    made = definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    for name in ("lost", "gone"):
        await api.post("/workflows", json=made | {"id": name, "trigger": EVERY_MINUTE})
        await api.post(f"/workflows/{name}/activate")

    async def shown() -> set[str]:
        return {each.workflow_id async for each in house.schedules.installed() if each.customer_id == customer}

    await until(lambda: _equal(shown, {"lost", "gone"}))
    await house.schedules.remove(customer, "lost")
    # What a crash leaves between the two writes: the row says `removed`, the schedule is there.
    await house.workflows.definitions.delete(customer, "gone", None)
    await until(lambda: _equal(shown, {"gone"}, {"lost", "gone"}, set()))

    async def repaired() -> bool:
        await house.reconciler.repair()
        await house.reconciler.round()
        return await shown() == {"lost"}

    await until(repaired)
    assert (await api.get("/workflows/lost/schedule")).json()["installed"] is True


async def _equal(ask: Any, *wanted: set[str]) -> bool:
    return await ask() in wanted
