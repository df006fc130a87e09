"""Moving runs in progress to another version of their workflow, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.support import WAIT, wait_for_status
from tests.api.test_approvals import make_decision, make_path, pages
from tests.api.test_bulk import start_bulk, wait_for_job, wait_for_rows
from tests.temporal.world import make_definition, wait_until

__all__ = ["pages"]

pytestmark = pytest.mark.temporal
FIRST = make_definition({"a": WAIT}, "trigger -> a") | {"id": "w"}
SECOND = make_definition({"b": WAIT, "c": {"type": "wait", "config": {"event": "more"}}}, "trigger -> b", "b -> c") | {
    "id": "w"
}


async def publish(api: httpx.AsyncClient, definition: dict[str, Any]) -> None:
    if (await api.post("/workflows", json=definition)).status_code != 201:
        assert (await api.put("/workflows/w", json=definition)).status_code == 200
    assert (await api.post("/workflows/w/activate")).status_code == 200


async def start_waiting(api: httpx.AsyncClient) -> str:
    run_id = str((await api.post("/workflows/w/runs", json={})).json()["id"])
    await wait_for_status(api, run_id, "waiting")
    return run_id


async def test_a_run_is_looked_at_and_moved(api: httpx.AsyncClient) -> None:
    await publish(api, FIRST)
    run_id = await start_waiting(api)
    await publish(api, SECOND)

    async def migrate(**request: Any) -> httpx.Response:
        return await api.post(f"/runs/{run_id}/migrate", json=request)

    refused = await migrate(version=2)
    same, unknown = await migrate(version=1), await migrate(version=9)
    looked_at = await migrate(version=2, dry_run=True)
    fitting = await migrate(version=2, map={"a": "b"}, dry_run=True)
    event = await api.post(f"/runs/{run_id}/events/more")
    moved = await migrate(version=2, map={"a": "b"}, reason="c was missing")

    async def has_moved() -> dict[str, Any] | None:
        run = (await api.get(f"/runs/{run_id}")).json()
        return run if run["workflow_version"] == 2 and run["waiting_for"] else None

    run = await wait_until(has_moved)
    early = await api.post(f"/runs/{run_id}/events/more")  # only the other version waits for it
    await api.post(f"/runs/{run_id}/events/go")
    ended = await wait_for_status(api, run_id, "completed")
    late = await migrate(version=1)

    problem = "'a' is in progress, and version 2 has no such node"
    assert (refused.status_code, refused.json()["detail"]) == (409, problem)
    assert (same.status_code, same.json()["detail"]) == (409, f"run {run_id} is of version 1 already")
    assert unknown.status_code == 404
    node = {"node_id": "a", "path": "", "state": "in_progress", "outcome": "refused", "to": None}
    assert looked_at.json() == {
        "fits": False,
        "from_version": 1,
        "version": 2,
        "problems": [problem],
        "nodes": [{**node, "reason": problem}],
    }
    assert (fitting.status_code, fitting.json()["fits"]) == (200, True)
    assert fitting.json()["nodes"] == [{**node, "outcome": "kept", "to": "b", "reason": ""}]
    assert (event.status_code, early.status_code) == (409, 202)
    assert (moved.status_code, moved.json()["version"], moved.json()["reason"]) == (202, 2, "c was missing")
    assert run["interventions"] == [moved.json()]
    assert [step["id"] for step in ended["steps"]] == ["a", "c"]
    assert (late.status_code, "has already ended" in late.json()["detail"]) == (409, True)
    stream = (await api.get(f"/runs/{run_id}/stream")).text
    assert '"signal":"migrate"' in stream
    assert '"version":2' in stream


async def test_a_wait_of_the_other_version_gets_an_event_that_the_one_before_has_read(api: httpx.AsyncClient) -> None:
    more = {"type": "wait", "config": {"event": "more"}}
    await publish(api, make_definition({"a": WAIT, "more": more}, "trigger -> a", "a -> more") | {"id": "w"})
    run_id = await start_waiting(api)
    first = await api.post(f"/runs/{run_id}/events/go")
    nodes, edges = {"a": WAIT, "more": more, "again": WAIT}, ("trigger -> a", "a -> more", "more -> again")
    await publish(api, make_definition(nodes, *edges) | {"id": "w"})

    async def is_awaited(event: str) -> bool:
        waits = (await api.get(f"/runs/{run_id}")).json()["waiting_for"]
        return [wait["event"] for wait in waits] == [event]

    await wait_until(lambda: is_awaited("more"))
    refused = await api.post(f"/runs/{run_id}/events/go")
    moved = await api.post(f"/runs/{run_id}/migrate", json={"version": 2})
    await api.post(f"/runs/{run_id}/events/more")
    await wait_until(lambda: is_awaited("go"))
    second = await api.post(f"/runs/{run_id}/events/go")

    assert (first.status_code, refused.status_code, moved.status_code) == (202, 409, 202)
    assert second.status_code == 202
    await wait_for_status(api, run_id, "completed")


async def test_a_link_stays_valid_where_the_approval_has_another_name(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    decision = {"type": "wait", "config": {**make_decision()["config"], "event": "answer"}}
    await publish(api, make_definition({"decision": decision}, "trigger -> decision") | {"id": "w"})
    run_id = await start_waiting(api)
    link = make_path(run_id)
    await publish(api, make_definition({"approve": decision}, "trigger -> approve") | {"id": "w"})
    moved = await api.post(f"/runs/{run_id}/migrate", json={"version": 2, "map": {"decision": "approve"}})
    assert moved.status_code == 202

    async def has_moved() -> bool:
        run = (await api.get(f"/runs/{run_id}")).json()
        return run["workflow_version"] == 2 and bool(run["waiting_for"])

    await wait_until(has_moved)
    decided = await pages.post(link, data={"approved": "true"})
    late = await pages.get(link)
    ended = await wait_for_status(api, run_id, "completed")

    assert decided.status_code == 200
    assert "You have answered" in late.text
    assert [step["id"] for step in ended["steps"]] == ["decision"]


async def test_links_that_were_sent_before_an_approval_began_lead_to_the_node_under_its_new_name(
    api: httpx.AsyncClient, pages: httpx.AsyncClient
) -> None:
    decision = make_decision()
    nodes = {"a": WAIT, "decision": decision}
    await publish(api, make_definition(nodes, "trigger -> a", "a -> decision") | {"id": "w"})
    early, late = [await start_waiting(api) for _ in range(2)]
    links = [make_path(run_id) for run_id in (early, late)]
    answered = await pages.post(links[0], data={"approved": "true"})
    nodes = {"a": WAIT, "approve": decision}
    await publish(api, make_definition(nodes, "trigger -> a", "a -> approve") | {"id": "w"})
    for run_id in (early, late):
        moved = await api.post(f"/runs/{run_id}/migrate", json={"version": 2, "map": {"decision": "approve"}})
        assert moved.json()["map"] == {"decision": "approve"}

    async def have_moved() -> bool:
        runs = [(await api.get(f"/runs/{run_id}")).json() for run_id in (early, late)]
        return all(run["workflow_version"] == 2 and run["waiting_for"] for run in runs)

    await wait_until(have_moved)
    again, open_still = [await pages.get(link) for link in links]
    answered_later = await pages.post(links[1], data={"approved": "true"})
    for run_id in (early, late):
        await api.post(f"/runs/{run_id}/events/go")
    ended = [await wait_for_status(api, run_id, "completed") for run_id in (early, late)]

    assert [answer.status_code for answer in (answered, answered_later)] == [200, 200]
    assert ("You have answered" in again.text, "You have answered" in open_still.text) == (True, False)
    assert [[step["id"] for step in run["steps"]] for run in ended] == [["a", "approve"]] * 2


async def test_a_result_for_a_step_whose_node_has_another_name_has_to_fit_its_action(api: httpx.AsyncClient) -> None:
    send = {"type": "action", "action": "http.request", "config": {"url": "http://127.0.0.1:9/"}}
    send |= {"retry": {"maximum_attempts": 1}, "on_error": "pause"}
    await publish(api, make_definition({"send": send}, "trigger -> send") | {"id": "w"})
    run_id = await start_waiting(api)
    nodes = {"ask": send, "send": WAIT}
    await publish(api, make_definition(nodes, "trigger -> ask", "ask -> send") | {"id": "w"})
    await api.post(f"/runs/{run_id}/migrate", json={"version": 2, "map": {"send": "ask"}})

    async def has_moved() -> bool:
        run = (await api.get(f"/runs/{run_id}")).json()
        return run["workflow_version"] == 2 and bool(run["waiting_for"])

    await wait_until(has_moved)
    repair = {"kind": "set_result", "step_id": "send"}
    refused = await api.post(f"/runs/{run_id}/interventions", json={**repair, "result": {"status": "x"}})
    done = await api.post(
        f"/runs/{run_id}/interventions", json={**repair, "result": {"status": 200, "headers": {}, "body": None}}
    )
    await api.post(f"/runs/{run_id}/cancel")

    assert (refused.status_code, done.status_code) == (422, 200)


async def test_all_runs_of_a_filter_are_moved(api: httpx.AsyncClient) -> None:
    await publish(api, FIRST)
    ids = [await start_waiting(api) for _ in range(2)]
    await publish(api, SECOND)
    newest = await start_waiting(api)
    await wait_for_rows(api, 3, workflow_id="w", status="waiting")
    wanted = {"workflow_id": "w", "status": ["waiting"]}
    body = {"operation": "migrate", "filter": wanted, "version": 2, "map": {"a": "b"}}

    job = await start_bulk(api, **body, reason="c was missing")
    done = await wait_for_job(api, job["id"])

    async def have_moved() -> bool:
        runs = [(await api.get(f"/runs/{run_id}")).json() for run_id in ids]
        return all(run["workflow_version"] == 2 for run in runs)

    await wait_until(have_moved)
    assert done["outcomes"] == {"done": 3}
    run = (await api.get(f"/runs/{newest}")).json()
    assert (run["workflow_version"], run["interventions"]) == (2, [])


async def test_a_move_of_many_runs_names_the_version_and_says_why_runs_are_refused(api: httpx.AsyncClient) -> None:
    await publish(api, FIRST)
    run_id = await start_waiting(api)
    await publish(api, SECOND)
    await wait_for_rows(api, 1, workflow_id="w", status="waiting")
    body = {"operation": "migrate", "filter": {"ids": [run_id]}}

    without = await api.post("/bulk", json=body)
    job = await start_bulk(api, **body, version=2)
    done = await wait_for_job(api, job["id"])
    items = (await api.get(f"/bulk/{job['id']}/items")).json()["items"]

    assert without.status_code == 422
    assert done["outcomes"] == {"refused": 1}
    assert items[0]["message"] == "'a' is in progress, and version 2 has no such node"
