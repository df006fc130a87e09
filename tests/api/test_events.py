"""Events over HTTP: each starts every workflow that listens for it, once."""

import asyncio

import httpx
import pytest

from tests.api.support import create_active_workflow, make_hook, wait_for_end

pytestmark = pytest.mark.temporal


async def test_an_event_starts_every_subscribed_workflow(api: httpx.AsyncClient) -> None:
    large = {"field": "data.total", "operator": "greater_than", "value": 100}
    await create_active_workflow(api, "one", {"type": "event", "event": "order.paid"})
    await create_active_workflow(api, "any", {"type": "event", "event": "order.*"})
    await create_active_workflow(api, "large", {"type": "event", "event": "order.paid", "config": {"filter": large}})
    await create_active_workflow(api, "paused", {"type": "event", "event": "order.paid"})
    await api.post("/workflows/paused/pause")

    answer = await api.post("/events", json={"id": "e1", "name": "order.paid", "data": {"total": 40}})

    body = answer.json()
    assert (answer.status_code, body["outcome"]) == (202, "accepted")
    states = {start["workflow_id"]: start["state"] for start in body["runs"]}
    assert states == {"any": "started", "one": "started", "paused": "paused"}
    for start in body["runs"][:2]:
        run = await wait_for_end(api, start["run_id"])
        assert run["context"]["seen"] == {"id": "e1", "name": "order.paid", "data": {"total": 40}}
        assert run["trigger_type"] == "event"


async def test_a_filter_that_fails_affects_its_own_start_only(api: httpx.AsyncClient) -> None:
    """A pattern that comes with the event may be invalid; other starts must not fail with it."""
    matching = {"field": "data.name", "operator": "matches", "value": "{{ data.pattern }}"}
    await create_active_workflow(api, "good", {"type": "event", "event": "order.paid"})
    await create_active_workflow(api, "bad", {"type": "event", "event": "order.paid", "config": {"filter": matching}})

    answer = await api.post("/events", json={"name": "order.paid", "data": {"name": "a", "pattern": "(("}})

    states = {start["workflow_id"]: (start["state"], start["reason"]) for start in answer.json()["runs"]}
    assert (answer.status_code, states["good"]) == (202, ("started", None))
    assert states["bad"][0] == "failed"
    assert "the trigger's filter failed: invalid pattern '(('" in states["bad"][1]


async def test_data_that_does_not_match_the_schema_of_a_trigger_fails_its_start_only(api: httpx.AsyncClient) -> None:
    schema = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
    await create_active_workflow(api, "any", {"type": "event", "event": "order.paid"})
    await create_active_workflow(api, "typed", {"type": "event", "event": "order.paid", "config": {"schema": schema}})

    odd = (await api.post("/events", json={"name": "order.paid", "data": {"total": "many"}})).json()
    good = (await api.post("/events", json={"name": "order.paid", "data": {"total": 3}})).json()

    states = {start["workflow_id"]: (start["state"], start["reason"]) for start in odd["runs"]}
    assert states["any"] == ("started", None)
    assert states["typed"][0] == "failed"
    assert states["typed"][1].startswith("the event's data does not match the trigger's schema: /total: ")
    assert {start["state"] for start in good["runs"]} == {"started"}


async def test_a_repeated_event_starts_nothing(api: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "order.paid"})
    event = {"id": "e1", "name": "order.paid", "data": {}}

    answers = [answer.json() for answer in await asyncio.gather(*(api.post("/events", json=event) for _ in range(6)))]

    assert sorted(answer["outcome"] for answer in answers) == ["accepted", *["duplicate"] * 5]
    first = next(answer for answer in answers if answer["outcome"] == "accepted")
    assert {answer["runs"][0]["run_id"] for answer in answers} == {first["runs"][0]["run_id"]}
    assert {answer["duplicate_of"] for answer in answers} == {None, first["id"]}
    assert len((await api.get("/deliveries", params={"outcome": "duplicate"})).json()["items"]) == 5
    nameless = [(await api.post("/events", json={"name": "order.paid"})).json() for _ in range(2)]
    assert [answer["outcome"] for answer in nameless] == ["accepted"] * 2, "without an id each is its own"


async def test_an_event_or_request_too_large_for_a_run_is_not_accepted(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    """A million control characters are six million bytes of JSON."""
    await create_active_workflow(api, "one", make_hook("in"))
    await create_active_workflow(api, "two", {"type": "event", "event": "e"})

    answers = [
        await hooks.post("/in", content=b"\x01" * 1_000_000, headers={"content-type": "text/plain"}),
        await api.post("/events", json={"name": "e", "data": "ä" * 400_000}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(413, "too_large")] * 2


async def test_the_ledger_tells_which_workflows_were_asked_and_what_their_filters_saw(api: httpx.AsyncClient) -> None:
    large = {"field": "data.total", "operator": "greater_than", "value": 100}
    await create_active_workflow(api, "large", {"type": "event", "event": "order.*", "config": {"filter": large}})
    await create_active_workflow(api, "one", {"type": "event", "event": "order.paid"})
    await create_active_workflow(api, "other", {"type": "event", "event": "order.sent"})

    paid = (await api.post("/events", json={"name": "order.paid", "data": {"total": 40}})).json()
    lost = (await api.post("/events", json={"name": "order.lost", "data": {"total": 7}})).json()
    typo = (await api.post("/events", json={"name": "ordr.paid"})).json()

    compared = {"field": "data.total", "operator": "greater_than", "value": 100, "seen": 40, "result": False}
    filtered = {
        "workflow_id": "large",
        "version": 1,
        "trigger": "order.*",
        "answer": "filtered",
        "reason": None,
        "decision": {"port": "false", "compared": [compared]},
    }
    assert paid["asked"][0] == filtered
    assert [(each["workflow_id"], each["answer"]) for each in paid["asked"]] == [
        ("large", "filtered"),
        ("one", "start"),
    ]
    assert paid["reason"] is None
    assert (lost["runs"], lost["reason"]) == ([], "no workflow starts: 1 filtered out")
    assert typo["reason"] == "no workflow has a trigger for this event: did you mean `order.paid`?"
    assert (await api.get(f"/deliveries/{lost['id']}")).json() == lost


async def test_an_event_id_stands_for_one_event(api: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", {"type": "event", "event": "order.*"})
    first = (await api.post("/events", json={"id": "e1", "name": "order.paid", "data": {"a": 1, "b": 2}})).json()

    same = await api.post("/events", json={"id": "e1", "name": "order.paid", "data": {"b": 2, "a": 1}})
    others = [
        await api.post("/events", json={"id": "e1", "name": "order.paid", "data": {"a": 2}}),
        await api.post("/events", json={"id": "e1", "name": "order.sent", "data": {"a": 1, "b": 2}}),
    ]

    assert (same.status_code, same.json()["runs"]) == (202, first["runs"])
    assert [(each.status_code, each.json()["code"]) for each in others] == [(422, "idempotency_key_reused")] * 2
