"""Keys, scopes and isolated customers: without permission, a resource looks as if it did not exist."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api.app import PREFIX, create_app
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.service.services import Services
from orchestrator.store.tables import api_keys
from tests.api.support import CLIENT_SECONDS, WAIT, Locked, serve_api, start_run
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal
HOOK = {"type": "webhook", "webhook_path": "open"}
EVENT = {"type": "event", "event": "order.paid"}
MADE = make_definition({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a")


async def test_requests_need_a_key_once_the_first_key_exists(locked: Locked) -> None:
    services, address = locked.services, locked.address
    async with httpx.AsyncClient(base_url=f"{address}{PREFIX}", timeout=CLIENT_SECONDS) as anybody:
        assert (await anybody.get("/workflows")).status_code == 200
        await locked.client("acme")
        refused = await anybody.get("/workflows")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert (await anybody.get("/workflows", headers={"authorization": "Bearer ork_no_key"})).status_code == 401
        (key,) = await services.keys.list_keys()
        await services.keys.revoke(key.id)
        assert (await anybody.get("/workflows")).status_code == 401, "revoking the last key opens nothing"


def open_client_at(services: Services, client_address: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client at an address, which a test cannot have."""
    transport = httpx.ASGITransport(create_app(services), client=(client_address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize(
    ("host", "client_address", "status"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 200),
        ("localhost", "127.0.0.1", 200),
        ("LocalHost:8080", "127.0.0.1", 200),
        ("[::1]:8080", "::1", 200),
        ("evil.example", "127.0.0.1", 401),
        ("127.0.0.1.evil.example", "127.0.0.1", 401),
        ("[::1].evil.example", "127.0.0.1", 401),
        ("[::1", "127.0.0.1", 401),
        ("evil.example@127.0.0.1", "127.0.0.1", 401),
        ("localhost:evil.example", "127.0.0.1", 401),
        ("localhost:80:80", "127.0.0.1", 401),
        ("127.0.0.1", "192.0.2.7", 401),
        ("", "127.0.0.1", 401),
    ],
)
async def test_without_keys_only_loopback_is_served(
    services: Services, host: str, client_address: str, status: int
) -> None:
    async with open_client_at(services, client_address) as asking:
        for path in (f"{PREFIX}/workflows", f"{PREFIX}/openapi.json", "/docs", "/metrics"):
            assert (await asking.get(path, headers={"host": host})).status_code == status, path
        assert (await asking.get("/healthz", headers={"host": host})).status_code == 200
        assert (await asking.get("/readyz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": "http://localhost"}, None),
        ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, None),
        ({"origin": "http://localhost:3000"}, "a web page of another origin"),
        ({"sec-fetch-site": "none"}, None),
        ({"origin": "https://evil.example"}, "a web page of another origin"),
        ({"origin": "https://localhost.evil.example"}, "a web page of another origin"),
        ({"origin": "null"}, "a web page of another origin"),
        ({"sec-fetch-site": "cross-site"}, "a web page of another origin"),
        ({"sec-fetch-site": "same-site"}, "a web page of another origin"),
        ({"x-forwarded-for": "192.0.2.7"}, "a proxy"),
        ({"forwarded": "for=192.0.2.7"}, "a proxy"),
        ({"x-real-ip": "127.0.0.1"}, "a proxy"),
    ],
)
async def test_without_keys_web_pages_and_proxies_are_not_loopback(
    services: Services, headers: dict[str, str], reason: str | None
) -> None:
    """A browser sends a `POST` without a body for any page, without a preflight request."""
    await services.workflows.create(DEFAULT_CUSTOMER, MADE | {"id": "hooked", "trigger": HOOK}, "a test")
    await services.workflows.activate(DEFAULT_CUSTOMER, "hooked", "a test")
    try:
        async with open_client_at(services) as asking:
            answers = [
                await asking.post(f"{PREFIX}/workflows/no-such/pause", headers=headers),
                await asking.post(f"{PREFIX}/hooks/{DEFAULT_CUSTOMER}/open", headers=headers),
            ]
    finally:
        await services.workflows.delete(DEFAULT_CUSTOMER, "hooked")

    assert [answer.status_code for answer in answers] == ([404, 202] if reason is None else [401, 401])
    for answer in answers if reason else ():
        assert reason in answer.json()["detail"]
        assert "orchestrator keys create" in answer.json()["hint"]


async def test_with_keys_proxies_and_web_pages_are_served(locked: Locked) -> None:
    reader = await locked.client("", "read")
    headers = {"x-forwarded-for": "192.0.2.7", "origin": "https://app.example", "sec-fetch-site": "cross-site"}

    assert (await reader.get("/workflows", headers=headers)).status_code == 200
    async with open_client_at(locked.services, "192.0.2.7") as anybody:
        for path in (f"{PREFIX}/openapi.json", "/docs", "/metrics"):
            assert (await anybody.get(path)).status_code == 401, path
            key = {"authorization": reader.headers["authorization"]}
            assert (await anybody.get(path, headers=key)).status_code == 200, path
        assert (await anybody.get("/healthz")).status_code == 200


async def test_the_key_is_checked_before_the_body_is_read(locked: Locked) -> None:
    """An unauthenticated client costs no memory and no time; webhooks have signatures of their own."""
    reader = await locked.client("acme", "read")
    read = 0

    async def send_body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"["

    json = {"content-type": "application/json"}
    async with open_client_at(locked.services) as asking:
        stranger = await asking.post(f"{PREFIX}/workflows", content=send_body(), headers=json)
        known = {**json, "authorization": reader.headers["authorization"]}
        not_allowed = await asking.post(f"{PREFIX}/workflows", content=send_body(), headers=known)
        assert (stranger.status_code, not_allowed.status_code, read) == (401, 403, 0)
        judged = await asking.post(f"{PREFIX}/workflows/validate", content=send_body(), headers=known)

    assert (judged.status_code, read) == (400, 10)


async def test_a_request_counts_once_against_the_rate_limit(world: World, tmp_path: Path) -> None:
    async with serve_api(world, tmp_path, rate_limit="2/year") as (services, address), AsyncExitStack() as clients:
        asking = await Locked(services, address, clients).client("acme")

        answers = [await asking.post("/workflows", json=MADE | {"id": f"w{number}"}) for number in range(3)]

        assert [answer.status_code for answer in answers] == [201, 201, 429]


async def test_scopes_allow_what_they_name(locked: Locked) -> None:
    reader = await locked.client("acme", "read")
    runner = await locked.client("acme", "run")
    editor = await locked.client("acme", "edit")
    admin = await locked.client("acme", "admin")

    assert (await editor.post("/workflows", json=MADE | {"id": "w"})).status_code == 201
    assert (await reader.get("/workflows/w")).status_code == 200
    assert (await runner.post("/workflows/w/runs")).status_code == 202
    for asking, method, path in (
        (reader, "POST", "/workflows/w/runs"),
        (reader, "DELETE", "/workflows/w"),
        (runner, "GET", "/workflows/w"),
        (runner, "POST", "/runs"),
        (editor, "POST", "/workflows/w/runs"),
    ):
        answer = await asking.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
    assert (await admin.get("/workflows/w")).status_code == 200
    assert (await admin.delete("/workflows/w")).status_code == 204


REPLACING = (
    ("resolve", {"node_id": "call", "action": "retry", "parameters": {"url": "http://evil.example"}}),
    ("resolve", {"node_id": "call", "action": "fallback", "value": {"url": "http://evil.example"}}),
    ("interventions", {"kind": "set_variables", "variables": {"base_url": "http://evil.example"}}),
    ("interventions", {"kind": "set_parameters", "node_id": "a", "parameters": {"url": "http://evil.example"}}),
    ("interventions", {"kind": "set_result", "node_id": "a", "result": None}),
    ("rerun", {"variables": {"base_url": "http://evil.example"}}),
    ("rerun", {"input": {"url": "http://evil.example"}}),
    ("rerun", {"input": None}),
    ("rerun", {"input": {}, "dry_run": True}),
)


@pytest.mark.parametrize(("operation", "body"), REPLACING)
async def test_replacing_values_of_a_run_needs_the_scope_edit(
    locked: Locked, operation: str, body: dict[str, Any]
) -> None:
    """Another URL of a step that waits would send the secret in its headers to a server of the caller."""
    for scope in ("run", "edit"):
        answer = await (await locked.client("acme", scope)).post(f"/runs/none/{operation}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for scopes in (("run", "edit"), ("admin",)):
        admitted = await (await locked.client("acme", *scopes)).post(f"/runs/none/{operation}", json=body)
        assert (admitted.status_code, admitted.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("resolve", {"node_id": "call", "action": "retry", "parameters": None, "value": None}),
        ("resolve", {"node_id": "call", "action": "retry_from", "target": "before"}),
        ("interventions", {"kind": "skip_wait", "step_id": "each[1]/nap", "reason": "enough"}),
        ("interventions", {"kind": "retry_now", "node_id": "call"}),
        ("rerun", {"from_node": "call", "variables": {}}),
        ("rerun", None),
    ],
)
async def test_a_run_is_operated_with_the_scope_run(locked: Locked, operation: str, body: Any) -> None:
    runner = await locked.client("acme", "run")

    answer = await runner.post(f"/runs/none/{operation}", json=body)

    assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize("customer", ["", "acme"])
async def test_keys_are_for_administrators_of_all_or_of_one_customer(locked: Locked, customer: str) -> None:
    admin, editor = await locked.client(customer, "admin"), await locked.client(customer, "read", "run", "edit")
    asked = {"name": "ci", "scopes": ["read"], "customer_id": "acme", "expires_at": "2999-01-01T00:00:00Z"}
    created = (await admin.post("/keys", json=asked)).json()
    other = await admin.post("/keys", json={**asked, "customer_id": "evil"})
    unnamed = (await admin.post("/keys", json={"name": "mine"})).json()

    assert (created["customer_id"], created["scopes"]) == ("acme", ["read"])
    assert other.status_code == (404 if customer else 201), "a customer's administrator makes no keys for others"
    assert unnamed["customer_id"] == (customer or None)
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("DELETE", f"/keys/{created['id']}")):
        answer = await editor.request(method, path, json=asked if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)

    rotated = (await admin.post(f"/keys/{created['id']}/rotate", json={"grace_seconds": 0})).json()
    new, old = ({"authorization": f"Bearer {each['secret']}"} for each in (rotated, created))
    assert (await editor.get("/workflows", headers=new)).status_code == 200
    assert (await editor.get("/workflows", headers=old)).status_code == 401
    assert (await admin.delete(f"/keys/{created['id']}")).status_code == 204
    assert (await editor.get("/workflows", headers=new)).status_code == 401


async def test_keys_are_listed_page_by_page(locked: Locked) -> None:
    admin = await locked.client("", "admin")
    names = [(await admin.post("/keys", json={"name": f"key {number}"})).json()["name"] for number in range(4)]
    listed: list[str] = []
    cursor = None
    while True:
        page = (await admin.get("/keys", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        listed += [each["name"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert listed == ["a key", *names]
    assert "secret" not in page["items"][0]


async def test_a_key_expires_and_a_rotated_one_has_a_grace_period(locked: Locked) -> None:
    services = locked.services
    over = await locked.client("acme", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await over.get("/workflows")).status_code == 401
    rotated = await locked.client("acme")
    key = (await services.keys.list_keys())[-1]

    fresh = await services.keys.rotate(key.id, datetime.now(UTC) + timedelta(hours=1))
    assert (await rotated.get("/workflows")).status_code == 200
    assert (await rotated.get("/workflows", headers={"authorization": f"Bearer {fresh}"})).status_code == 200
    await services.keys.rotate(key.id, datetime.now(UTC))
    assert (await rotated.get("/workflows")).status_code == 401


async def test_no_start_reaches_another_customer(locked: Locked) -> None:
    owner, other = await locked.client("acme"), await locked.client("evil")
    for asking in (owner, other):
        await asking.post("/workflows", json=MADE | {"id": "same", "trigger": EVENT})
        await asking.post("/workflows/same/activate")

    event = {"id": "e1", "name": "order.paid"}
    first, second = [(await asking.post("/events", json=event)).json() for asking in (owner, other)]
    assert [answer["outcome"] for answer in (first, second)] == ["accepted"] * 2, "ids are each customer's own"
    keyed = [(await a.post("/workflows/same/runs", headers={"idempotency-key": "k"})).json() for a in (owner, other)]
    assert keyed[0]["id"] != keyed[1]["id"]
    assert (await other.post("/events", json=event | {"customer_id": "acme"})).status_code == 404
    for path in ("/workflows", "/runs", "/deliveries"):
        assert (await other.get(path, params={"customer_id": "acme"})).status_code == 404
    called = make_definition({"c": {"type": "workflow", "config": {"workflow_id": "only-acmes"}}}, "trigger -> c")
    await owner.post("/workflows", json=MADE | {"id": "only-acmes"})
    assert (await other.post("/workflows", json=called | {"id": "caller"})).status_code == 422
    assert (await owner.post("/workflows", json=called | {"id": "caller"})).status_code == 201


async def test_an_administrator_sees_all_and_names_the_customer(locked: Locked) -> None:
    owner, other, admin = await locked.client("acme"), await locked.client("evil"), await locked.client("", "admin")
    for asking in (owner, other):
        await asking.post("/workflows", json=MADE | {"id": "same"})
    await owner.post("/workflows", json=MADE | {"id": "single"})

    assert len((await admin.get("/workflows")).json()["items"]) == 3
    assert (await admin.get("/workflows/single")).json()["customer_id"] == "acme"
    assert (await admin.get("/workflows/same")).status_code == 404, "two customers have one"
    assert (await admin.get("/workflows/same", params={"customer_id": "evil"})).json()["customer_id"] == "evil"
    run_id = (await owner.post("/workflows/single/runs")).json()["id"]
    assert (await admin.post(f"/runs/{run_id}/cancel")).status_code == 202


async def test_a_definition_cannot_name_another_customer(locked: Locked) -> None:
    other = await locked.client("evil")

    kept = await other.post("/workflows", json=MADE | {"id": "mine", "customer_id": "acme"})
    run = await other.post("/runs", json={"definition": MADE | {"customer_id": "acme"}})

    assert kept.json()["customer_id"] == "evil"
    shown = await other.get(f"/runs/{run.json()['id']}")
    assert shown.json()["customer_id"] == "evil"


async def test_the_rate_limit_applies_to_each_key(world: World, tmp_path: Path) -> None:
    async with serve_api(world, tmp_path, rate_limit="3/year") as (services, address), AsyncExitStack() as clients:
        locked = Locked(services, address, clients)
        busy, other = await locked.client("acme"), await locked.client("acme")

        answers = [await busy.get("/workflows") for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert (answers[-1].json()["code"], int(answers[-1].headers["retry-after"]) > 0) == ("too_many_requests", True)
        assert (await other.get("/workflows")).status_code == 200


async def test_open_streams_are_limited_for_each_key(world: World, tmp_path: Path) -> None:
    """Each one holds a long poll of Temporal and a task here for as long as its client likes."""
    async with serve_api(world, tmp_path, max_streams=1) as (services, address), AsyncExitStack() as clients:
        locked = Locked(services, address, clients)
        busy, other = await locked.client("acme"), await locked.client("acme")
        run_id = await start_run(busy, {"hear": WAIT}, "trigger -> hear")
        path = f"/runs/{run_id}/stream"
        async with busy.stream("GET", path) as first:
            assert "event: run" in await anext(first.aiter_text())
            refused = await busy.get(path)
            async with other.stream("GET", path) as second:
                assert second.status_code == 200

        async def is_open_again() -> bool:
            async with busy.stream("GET", path) as third:
                return third.status_code == 200

        assert (refused.status_code, refused.json()["detail"]) == (429, "more than 1 open streams")
        assert await wait_until(is_open_again), "a closed stream is no longer counted"
        await busy.post(f"/runs/{run_id}/terminate")


async def let_expire(services: Services, key_id: str) -> None:
    """Let the time of a key be over, which the cache of keys learns within a second."""
    async with services.database.write_transaction() as connection:
        change = update(api_keys).where(api_keys.c.id == key_id).values(expires_at=datetime.now(UTC))
        await connection.execute(change)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_an_open_stream_ends_with_its_key(world: World, tmp_path: Path, end: str) -> None:
    """A key that has leaked would otherwise read a run for as long as it lasts."""
    async with serve_api(world, tmp_path) as (services, address), AsyncExitStack() as clients:
        locked = Locked(services, address, clients)
        owner = await locked.client("acme")
        run_id = await start_run(owner, {"hear": WAIT}, "trigger -> hear")
        key, secret = await services.keys.create("acme", "leaked", ("read",))
        headers = {"authorization": f"Bearer {secret}"}
        path = f"/runs/{run_id}/stream"
        async with (
            asyncio.timeout(CLIENT_SECONDS),
            owner.stream("GET", path) as kept,
            owner.stream("GET", path, headers=headers) as leaked,
        ):
            assert (kept.status_code, leaked.status_code) == (200, 200)
            texts = leaked.aiter_text()
            received = await anext(texts)
            if end == "revoked":
                await services.keys.revoke(key.id)
            else:
                await let_expire(services, key.id)
            received += "".join([text async for text in texts])
            still_running = (await owner.get(f"/runs/{run_id}")).json()["completed_at"] is None
            await owner.post(f"/runs/{run_id}/terminate")
            rest = "".join([text async for text in kept.aiter_text()])

        assert still_running, "the stream has ended, and the run has not"
        assert (received.count("event: run"), rest.count("event: run")) == (1, 2), "other streams of the run continue"
