"""Operators' hands on a run in progress, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.support import WAIT, start_run, wait_for_status
from tests.temporal.world import World, wait_until

pytestmark = pytest.mark.temporal
LOCKED = {"error": {"message": "locked", "recoverable": False}}
CALL = {"type": "action", "action": "http.request", "config": {"url": "http://old.example"}, "on_error": "pause"}


async def test_a_second_pause_of_a_paused_run_is_a_conflict(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    await wait_for_status(api, run_id, "waiting")
    first = await api.post(f"/runs/{run_id}/pause", json={"reason": "the shop is closed"})

    async def is_told() -> httpx.Response | None:
        """The first pauses may come before a worker has taken the pause."""
        answer = await api.post(f"/runs/{run_id}/pause")
        return answer if answer.status_code != 202 else None

    second = await wait_until(is_told)
    run = (await api.get(f"/runs/{run_id}")).json()

    assert (first.status_code, second.status_code) == (202, 409)
    assert second.json()["detail"] == f"run {run_id} is paused already"
    assert [(each["kind"], each["reason"]) for each in run["interventions"]] == [("pause", "the shop is closed")]
    assert (await api.post(f"/runs/{run_id}/resume")).status_code == 202


async def test_a_step_is_resolved_by_its_id_with_templates_in_its_new_parameters(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """`step_id`, which the refusal itself asks for, was an unknown field."""
    world.script({"http.request": [LOCKED, {"output": "{{ params }}"}]}, customer)
    nodes = {"host": {"type": "set", "config": {"host": "new.example"}}, "call": CALL}
    run_id = await start_run(api, nodes, "trigger -> host", "host -> call")
    await wait_for_status(api, run_id, "waiting")

    async def resolve(**request: Any) -> httpx.Response:
        return await api.post(f"/runs/{run_id}/resolve", json={"action": "retry", **request})

    neither, both = await resolve(), await resolve(node_id="call", step_id="call")
    mistaken = await resolve(step_id="call", parameters={"url": "http://{{ host"})
    right = await resolve(step_id="call", parameters={"url": "http://{{ host }}"}, reason="moved")
    run = await wait_for_status(api, run_id, "completed")

    assert [answer.status_code for answer in (neither, both, mistaken)] == [422, 422, 409]
    assert right.json() == {"step_id": "call"}
    assert run["steps"][-1]["input_data"]["url"] == "http://new.example"
    entries = [(each["kind"], each["step_id"], each["action"], each["reason"]) for each in run["interventions"]]
    assert entries == [("resolve", "call", "retry", "moved")]


async def test_a_run_is_repaired_and_its_stream_says_so(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    await wait_for_status(api, run_id, "waiting")

    async def repair(**request: Any) -> httpx.Response:
        return await api.post(f"/runs/{run_id}/interventions", json=request)

    refused = [
        await repair(kind="set_variables", variables={}),
        await repair(kind="skip_node"),
        await repair(kind="skip_node", step_id="a", path="each[1]"),
        await repair(kind="burn", node_id="a"),
    ]
    conflict = await repair(kind="skip_wait", node_id="a")
    done = await repair(kind="set_result", node_id="a", result=None, reason="by phone")
    run = await wait_for_status(api, run_id, "completed")
    stream = (await api.get(f"/runs/{run_id}/stream")).text

    assert [answer.status_code for answer in refused] == [422] * 4
    assert (conflict.status_code, "has no edge for its timeout" in conflict.json()["detail"]) == (409, True)
    assert (done.status_code, done.json()["step_id"]) == (200, "a")
    assert run["steps"][0]["output_data"] == {"result": None}
    assert run["interventions"] == [done.json()]
    assert '"signal":"repair","name":"a","kind":"set_result"' in stream


async def test_a_result_that_an_action_does_not_return_is_refused(api: httpx.AsyncClient, world: World) -> None:
    """The steps after it would read fields that are not there."""
    count = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
    nodes = {"ask": WAIT, "pay": CALL, "count": {"type": "action", "action": "log.message", "result_schema": count}}
    nodes["count"]["config"] = {"message": "counted"}
    run_id = await start_run(api, nodes, "trigger -> ask", "ask -> pay", "pay -> count")
    await wait_for_status(api, run_id, "waiting")

    async def give(**request: Any) -> httpx.Response:
        return await api.post(f"/runs/{run_id}/interventions", json={"kind": "set_result", **request})

    by_schema = await give(node_id="count", result={"count": "many"})
    registered = await give(step_id="pay", result={"id": 7})
    accepted = await give(step_id="pay", result={"status": 200, "headers": {}, "body": {"id": 7}})

    assert [answer.status_code for answer in (by_schema, registered, accepted)] == [422, 422, 200]
    assert [each["path"] for each in by_schema.json()["errors"]] == ["/result/count"]
    assert {each["path"] for each in registered.json()["errors"]} <= {"/result", "/result/status"}
    run = await wait_for_status(api, run_id, "waiting")
    assert len(run["interventions"]) == 1
    await api.post(f"/runs/{run_id}/cancel")
