"""An event with a key is given, once, to every run that waits for its name and key, or begins to in time."""

from typing import Any

import httpx
import pytest

from orchestrator.service import addressed_events
from orchestrator.service.services import Services
from tests.api.support import start_run, wait_for_end, wait_for_status
from tests.temporal.world import wait_until

pytestmark = pytest.mark.temporal

EDGE = "trigger -> hear"
HEAR = {"hear": {"type": "wait", "config": {"event": "order.confirmed"}}}
HEAR_KEY = {"hear": {"type": "wait", "config": {"event": "order.confirmed", "key": "{{ input.order }}"}}}
KEYS = {"settings": {"keys": {"order": "{{ input.order }}"}}}


async def emit(api: httpx.AsyncClient, order: Any, **more: Any) -> httpx.Response:
    body = {"name": "order.confirmed", "data": {"order": order}, "key": {"order": order}} | more
    answer = await api.post("/events", json=body)
    assert answer.status_code == 202, answer.text
    return answer


async def list_unread(api: httpx.AsyncClient, *run_ids: str) -> list[str]:
    return [run_id for run_id in run_ids if (await api.get(f"/runs/{run_id}")).json()["status"] == "waiting"]


@pytest.mark.slow
async def test_an_event_finds_the_runs_that_wait_for_its_key(api: httpx.AsyncClient) -> None:
    by_key = await start_run(api, HEAR_KEY, EDGE, run_input={"order": 7})
    by_business_key = await start_run(api, HEAR, EDGE, run_input={"order": 7}, **KEYS)
    others = [
        await start_run(api, HEAR_KEY, EDGE, run_input={"order": 8}),
        await start_run(api, HEAR, EDGE, run_input={"order": 8}, **KEYS),
        await start_run(api, HEAR, EDGE, run_input={"order": 7}),
        await start_run(api, {"hear": {"type": "wait", "config": {"event": "order.paid", "key": "7"}}}, EDGE),
    ]
    for run_id in others:
        await wait_for_status(api, run_id, "waiting")
    await emit(api, 7)
    found = [await wait_for_end(api, run_id) for run_id in (by_key, by_business_key)]

    assert [run["output"] for run in found] == [{}, {}]
    assert [run["steps"][0]["output_data"]["payload"] for run in found] == [{"order": 7}] * 2
    assert await list_unread(api, *others) == others


@pytest.mark.slow
async def test_an_event_reaches_runs_that_begin_to_wait_within_its_time(api: httpx.AsyncClient) -> None:
    await emit(api, 9)
    runs = [
        await start_run(api, HEAR_KEY, EDGE, run_input={"order": 9}),
        await start_run(api, HEAR, EDGE, run_input={"order": 9}, **KEYS),
    ]

    assert [(await wait_for_end(api, run_id))["status"] for run_id in runs] == ["completed"] * 2


async def test_an_event_that_is_not_kept_reaches_no_later_run(api: httpx.AsyncClient) -> None:
    await emit(api, 10, keep_seconds=0)
    late = await start_run(api, HEAR_KEY, EDGE, run_input={"order": 10})
    await wait_for_status(api, late, "waiting")
    witness = await start_run(api, HEAR_KEY, EDGE, run_input={"order": 11})
    await emit(api, 11)
    await wait_for_end(api, witness)

    assert await list_unread(api, late) == [late]


async def test_a_run_is_given_an_event_once_for_each_event_id(api: httpx.AsyncClient) -> None:
    nodes = {
        "each": {"type": "loop", "collection": 2, "body": ["hear"]},
        "hear": {"type": "wait", "config": {"event": "order.confirmed", "key": "12"}},
    }
    run_id = await start_run(api, nodes, "trigger -> each")
    first, again = await emit(api, 12, id="one"), await emit(api, 12, id="one")

    async def find_first() -> bool | None:
        run = (await api.get(f"/runs/{run_id}")).json()
        return any(step["id"] == "each[0]/hear" and step["completed_at"] for step in run["steps"]) or None

    await wait_until(find_first)
    waiting = (await api.get(f"/runs/{run_id}")).json()["status"]
    await emit(api, 12, id="two")
    run = await wait_for_end(api, run_id)

    assert (first.json()["outcome"], again.json()["outcome"]) == ("accepted", "duplicate")
    assert waiting == "waiting"
    assert run["status"] == "completed"


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_an_event_reaches_branches_and_iterations(api: httpx.AsyncClient, mode: str) -> None:
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["hear"]], "config": {"mode": mode}},
        "each": {"type": "loop", "collection": [21, 22], "body": ["one"], "config": {"max_concurrency": 2}},
        "one": {"type": "wait", "config": {"event": "line.packed", "key": "{{ item }}"}},
        **HEAR,
    }
    run_id = await start_run(api, nodes, "trigger -> fork", run_input={"order": 20}, **KEYS)
    await emit(api, 22, name="line.packed")
    await emit(api, 20)
    await emit(api, 21, name="line.packed")
    run = await wait_for_end(api, run_id)
    read = {
        step["id"]: step["output_data"]["payload"]["order"]
        for step in run["steps"]
        if step["node_id"] != "each" and step["node_id"] != "fork"
    }

    assert read == {"fork[0]/each[0]/one": 21, "fork[0]/each[1]/one": 22, "fork[1]/hear": 20}


async def test_an_event_id_is_not_used_again_for_another_event(api: httpx.AsyncClient) -> None:
    event = {"id": "evt-names", "name": "order.confirmed", "key": {"order": 43}}
    changes: list[dict[str, Any]] = [{}, {"name": "order.cancelled"}, {"key": {"order": 44}}, {"data": 1}]
    answers = [await api.post("/events", json=event | change) for change in (*changes, {})]

    assert [answer.status_code for answer in answers] == [202, 422, 422, 422, 202]
    assert answers[-1].json()["duplicate_of"] == answers[0].json()["id"]


async def test_events_of_another_customer_reach_nobody(api: httpx.AsyncClient, customer: str) -> None:
    mine = await start_run(api, HEAR_KEY, EDGE, run_input={"order": 30})
    await wait_for_status(api, mine, "waiting")
    witness = await start_run(api, HEAR_KEY, EDGE, run_input={"order": 31})
    foreign = await api.post(
        "/events", params={"customer_id": f"{customer}-other"}, json={"name": "order.confirmed", "key": {"order": 30}}
    )
    await emit(api, 31)
    await wait_for_end(api, witness)

    assert foreign.status_code == 202
    assert await list_unread(api, mine) == [mine]


async def test_too_many_kept_events_are_refused(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    monkeypatch.setattr(addressed_events, "MAX_KEPT", 1)
    await emit(api, 40)
    answer = await api.post("/events", json={"name": "order.confirmed", "key": {"order": 41}})

    assert answer.status_code == 409
    assert "events are kept" in answer.text


@pytest.mark.parametrize("key", [{}, {"a": 1, "b": 2}, {"a": None}, {"a": [1]}, {"a": True}, {"a": "7\0"}, "order"])
async def test_a_key_is_one_name_with_text_or_a_whole_number(api: httpx.AsyncClient, key: Any) -> None:
    assert (await api.post("/events", json={"name": "order.confirmed", "key": key})).status_code == 422
