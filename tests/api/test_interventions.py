"""Operators' hands on a run in progress, over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.support import WAIT, Locked, start_run, wait_for_status
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


RESULT = {"status": 200, "headers": {}, "body": {"paid": True}}
RACES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pay", {"kind": "set_result", "result": RESULT}),
    ("fork[0]/pay", {"kind": "skip_node"}),
    ("pay", {"kind": "retry_now"}),
    ("pay", {"kind": "set_parameters", "parameters": {"url": "http://new.example"}}),
)
WORDS = {"set_result": "gave a result to", "skip_node": "skipped", "retry_now": "retried", "resolve": "resolved"}


@pytest.mark.slow
async def test_of_two_operators_one_decides_on_a_step_and_the_other_is_told_who_was_first(
    locked: Locked, world: World, customer: str
) -> None:
    """No matter who comes first; the run has perhaps moved on, or ended, when the other one is refused."""
    ada, bob = await locked.client(customer, name="ada"), await locked.client(customer, name="bob")
    world.script({"http.request": [LOCKED] * len(RACES) + [{"output": RESULT}]}, customer)
    fork = {"type": "parallel", "branches": [["pay"], ["ask"]]}

    async def start_waiting(step_id: str) -> str:
        branches = {"fork": fork, "ask": WAIT} if step_id.startswith("fork") else {}
        run_id = await start_run(ada, {"pay": CALL, **branches}, f"trigger -> {'fork' if branches else 'pay'}")

        async def is_waiting() -> bool:
            waits = (await ada.get(f"/runs/{run_id}")).json()["waiting_for"]
            return any((wait["step_id"], wait["kind"]) == (step_id, "operator") for wait in waits)

        await wait_until(is_waiting)
        return run_id

    async def race(run_id: str, step_id: str, repair: dict[str, Any]) -> None:
        skip = {"step_id": step_id, "action": "skip"}
        repaired, resolved = await asyncio.gather(
            operate(ada, f"/runs/{run_id}/interventions", {**repair, "step_id": step_id}),
            operate(bob, f"/runs/{run_id}/resolve", skip),
        )
        late = await operate(bob, f"/runs/{run_id}/resolve", skip)
        entries = (await ada.get(f"/runs/{run_id}")).json()["interventions"]
        (done,) = (each for each in entries if each["kind"] != "set_parameters")
        # New parameters decide nothing: they wait for the next attempt, and are refused once the step continues.
        decides = repair["kind"] != "set_parameters" or repaired.status_code == 409
        refused = [answer for answer in (repaired, resolved, late) if answer.status_code == 409]
        named = f"; {done['by']} {WORDS[done['kind']]} {step_id}"

        assert (late.status_code, len(refused)) == (409, 1 + decides)
        assert [answer.text for answer in refused if named not in answer.json()["detail"]] == []

    run_ids = await asyncio.gather(*(start_waiting(step_id) for step_id, _ in RACES))
    await asyncio.gather(*(race(run_id, *each) for run_id, each in zip(run_ids, RACES, strict=True)))
    await asyncio.gather(*(ada.post(f"/runs/{run_id}/terminate") for run_id in run_ids))


async def operate(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    """Send a request until a worker has taken it: a busy one may take longer than the request waits."""

    async def send() -> httpx.Response | None:
        answer = await api.post(path, json=body)
        return answer if answer.status_code != 503 else None

    taken: httpx.Response = await wait_until(send)
    return taken
