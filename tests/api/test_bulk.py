"""Operations on many runs: durable jobs with a pace, progress, a stop, and a report of outcomes."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.models.bulk import BulkRequest
from orchestrator.errors import ServerUnavailable
from orchestrator.service.bulk import LOOK_SECONDS, Bulk
from orchestrator.service.services import Services
from orchestrator.store.bulk_jobs import BulkJob
from orchestrator.store.run_filter import RunFilter
from tests.api.support import CLIENT_SECONDS, WAIT, Locked, serve_api, start_run, wait_for_end, wait_for_status
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal
CALL = {"type": "action", "action": "http.request", "config": {"url": "http://a.example"}}
DOWN = {"error": {"message": "down", "error_type": "action_error", "recoverable": False}}
UP = {"output": {"status": 200}}
ASK = {**CALL, "on_error": "pause"}


async def start_bulk(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post("/bulk", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/bulk/{answer.json()['id']}"
    return dict(answer.json())


async def wait_for_job(api: httpx.AsyncClient, job_id: str, state: str = "completed") -> dict[str, Any]:
    async def find() -> dict[str, Any] | None:
        job = (await api.get(f"/bulk/{job_id}")).json()
        return job if job["state"] == state else None

    found: dict[str, Any] = await wait_until(find, 180)  # a busy machine fails workflow tasks, which wait 10 s then
    return found


async def wait_for_rows(api: httpx.AsyncClient, number: int, **params: Any) -> None:
    async def has_listed() -> bool:
        return len((await api.get("/runs", params=params)).json()["items"]) == number

    await wait_until(has_listed)


async def create_failing(api: httpx.AsyncClient, world: World, customer: str, number: int, *answers: Any) -> list[str]:
    """Make runs of `w` that fail; return their IDs."""
    world.script({"http.request": [DOWN] * number + list(answers)}, customer)
    definition = make_definition({"call": CALL}, "trigger -> call") | {"id": "w"}
    assert (await api.post("/workflows", json=definition)).status_code == 201
    ids = [(await api.post("/workflows/w/runs")).json()["id"] for _ in range(number)]
    await wait_for_rows(api, number, status="failed")
    return ids


async def test_failed_runs_are_rerun_and_the_report_says_how_they_ended(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """A hundred runs that an outage had failed were rerun by hand, one after another."""
    ids = await create_failing(api, world, customer, 4, UP, DOWN, UP)

    job = await start_bulk(api, operation="rerun", filter={"workflow_id": "w", "status": ["failed"]})
    await wait_for_job(api, job["id"])

    async def have_ended() -> dict[str, Any] | None:
        found = (await api.get(f"/bulk/{job['id']}")).json()
        return found if sum(found["reruns"].get(name, 0) for name in ("completed", "failed")) == 4 else None

    report = await wait_until(have_ended)
    items = (await api.get(f"/bulk/{job['id']}/items")).json()["items"]
    assert (report["total"], report["processed"], report["outcomes"]) == (4, 4, {"done": 4})
    assert report["reruns"] == {"completed": 3, "failed": 1}
    assert report["failed_reruns"] == [{"node_id": "call", "error_type": "action_error", "count": 1}]
    assert sorted(item["run_id"] for item in items) == sorted(ids), "its own reruns are not rerun"
    assert {(await api.get(f"/runs/{item['new_run_id']}")).json()["rerun_of"] for item in items} == set(ids)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"operation": "cancel", "reason": "a mistake"}, "cancelled"),
        ({"operation": "terminate", "reason": "a mistake"}, "cancelled"),
        ({"operation": "send", "event": "go", "payload": {"n": 1}}, "completed"),
    ],
    ids=["cancel", "terminate", "send"],
)
async def test_all_runs_of_a_filter_are_operated(api: httpx.AsyncClient, body: dict[str, Any], expected: str) -> None:
    ids = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(3)]
    other = await start_run(api, {"b": WAIT}, "trigger -> b")
    await wait_for_rows(api, 3, reason="event", node="a")

    job = await start_bulk(api, filter={"reason": "event", "node": "a"}, **body)
    report = await wait_for_job(api, job["id"])

    runs = [await wait_for_end(api, run_id) for run_id in ids]
    assert report["outcomes"] == {"done": 3}
    assert [run["status"] for run in runs] == [expected] * 3
    if expected == "cancelled":
        assert {(run["cancelled_by"], run["cancel_reason"]) for run in runs} == {("local", "a mistake")}
    assert (await api.get(f"/runs/{other}")).json()["status"] == "waiting"


async def test_runs_are_paused_resumed_and_resolved(api: httpx.AsyncClient, world: World, customer: str) -> None:
    world.script({"http.request": [DOWN, DOWN, UP]}, customer)
    ids = [await start_run(api, {"ask": ASK}, "trigger -> ask") for _ in range(2)]
    await wait_for_rows(api, 2, reason="operator")

    for body in ({"operation": "pause"}, {"operation": "resume"}, {"operation": "resolve", "action": "retry"}):
        job = await start_bulk(api, filter={"ids": ids}, **body)
        assert (await wait_for_job(api, job["id"]))["outcomes"] == {"done": 2}, body

    for run_id in ids:
        await wait_for_status(api, run_id, "completed")


async def test_what_a_run_does_not_allow_is_reported(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await wait_for_rows(api, 1, status="completed")

    job = await start_bulk(api, operation="cancel", filter={"status": ["completed"]})
    report = await wait_for_job(api, job["id"])

    (item,) = (await api.get(f"/bulk/{job['id']}/items", params={"outcome": "refused"})).json()["items"]
    assert report["outcomes"] == {"refused": 1}
    assert (item["run_id"], item["message"]) == (run_id, f"run {run_id} has already ended (completed)")


async def test_a_dry_run_touches_nothing(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    answer = await api.post("/bulk", json={"operation": "terminate", "filter": {"ids": [run_id]}, "dry_run": True})

    assert (answer.status_code, answer.json()["total"]) == (200, 1)
    assert [run["id"] for run in answer.json()["runs"]] == [run_id]
    assert (await api.get(f"/runs/{run_id}")).json()["completed_at"] is None


async def test_a_job_keeps_its_pace_and_can_be_stopped(api: httpx.AsyncClient) -> None:
    ids = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(30)]
    job = await start_bulk(api, operation="cancel", filter={"ids": ids}, pace=1)

    async def has_begun() -> bool:
        return bool((await api.get(f"/bulk/{job['id']}")).json()["processed"] >= 1)

    await wait_until(has_begun, 180)
    assert (await api.post(f"/bulk/{job['id']}/stop")).status_code == 202
    report = await wait_for_job(api, job["id"], "stopped")

    assert 1 <= report["processed"] < 30
    assert report["ended_at"] is not None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"operation": "cancel", "filter": {}}, "select runs by at least one field"),
        ({"operation": "send", "filter": {"ids": ["r"]}}, "`send` needs `event`"),
        ({"operation": "resolve", "filter": {"ids": ["r"]}}, "`resolve` needs `action`"),
        ({"operation": "pause", "filter": {"ids": ["r"]}, "event": "go"}, "`event` does not belong to `pause`"),
        ({"operation": "cancel", "filter": {"error": "x", "until": "2026-01-01T00:00:00Z"}}, "text of errors"),
        ({"operation": "delete", "filter": {"ids": ["r"]}}, "operation"),
        ({"operation": "terminate", "filter": {"ids": [], "workflow_id": "w"}}, "ids"),
        ({"operation": "cancel", "filter": {"key": ["order"]}}, "key"),
    ],
    ids=[
        "no filter",
        "no event",
        "no action",
        "another operation's field",
        "all errors",
        "no operation",
        "no ids",
        "no value",
    ],
)
async def test_a_request_that_is_not_clear_is_refused(
    api: httpx.AsyncClient, body: dict[str, Any], message: str
) -> None:
    answer = await api.post("/bulk", json=body)

    assert answer.status_code == 422, answer.text
    assert message in answer.text


def test_an_empty_payload_is_one() -> None:
    values: dict[str, Any] = {"operation": "send", "filter": {"ids": ["r"]}, "event": "go"}

    assert BulkRequest(**values, payload="").list_options() == {"event": "go", "payload": ""}
    assert BulkRequest(**values).list_options() == {"event": "go"}


async def test_a_filter_that_matches_nothing_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/bulk", json={"operation": "cancel", "filter": {"ids": ["none"]}})
    unknown = await api.get("/bulk/none")

    assert (answer.status_code, answer.json()["detail"]) == (409, "no run matches the filter")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "bulk_job_not_found")


@pytest.mark.slow
async def test_a_job_continues_in_another_process(
    world: World, customer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service that has started it stops while it is at its first runs."""
    under_way = asyncio.Event()
    definition = make_definition({"a": WAIT}, "trigger -> a") | {"id": "many"}
    async with serve_api(world, tmp_path) as (services, address):
        params = {"customer_id": customer}
        async with httpx.AsyncClient(base_url=f"{address}/api/v1", params=params, timeout=CLIENT_SECONDS) as api:
            assert (await api.post("/workflows", json=definition)).status_code == 201
            ids = [(await api.post("/workflows/many/runs")).json()["id"] for _ in range(12)]
        wanted = RunFilter(workflow_id="many")
        cancel = services.operations.cancel

        async def cancel_slowly(customer_id: str, run_id: str, reason: str, *, by: str) -> None:
            await cancel(customer_id, run_id, reason, by=by)
            under_way.set()
            await asyncio.sleep(1)

        monkeypatch.setattr(services.operations, "cancel", cancel_slowly)
        job = await services.bulk.start(customer, "cancel", wanted, {}, actor="a test", pace=2)
        await asyncio.wait_for(under_way.wait(), 60)
    async with serve_api(world, tmp_path) as (services, _):
        await wait_until(lambda: has_processed(services, job.id, 12))
        items = await services.bulk.list_items(customer, job.id)

    assert sorted(item.run_id for item in items) == sorted(ids)
    assert {item.outcome for item in items} == {"done"}, "each is cancelled once"
    await asyncio.gather(*(world.wait_for_end(run_id) for run_id in ids))


async def has_processed(services: Services, job_id: str, number: int) -> bool:
    return sum((await services.bulk.get(None, job_id)).report.outcomes.values()) >= number


async def test_the_outcome_of_a_run_is_recorded_though_another_cannot_be_operated_yet(
    services: Services, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is tried again: what was done and not recorded was done twice, or reported as refused."""
    ids = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(3)]
    await wait_for_rows(api, 3, reason="event")
    cancel, calls = services.operations.cancel, []

    async def refuse_once(customer_id: str, run_id: str, reason: str, *, by: str) -> None:
        calls.append(run_id)
        if run_id == ids[0] and calls.count(run_id) == 1:
            raise ServerUnavailable("restarting")
        await cancel(customer_id, run_id, reason, by=by)

    monkeypatch.setattr(services.operations, "cancel", refuse_once)
    job = await start_bulk(api, operation="cancel", filter={"ids": ids})
    report = await wait_for_job(api, job["id"])

    assert report["outcomes"] == {"done": 3}
    assert sorted(calls) == sorted([*ids, ids[0]])


async def test_a_job_that_cannot_be_started_yet_is_started_later(
    services: Services, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request failed, and the job that it had stored ran all the same."""
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    await wait_for_rows(api, 1, reason="event")
    ensure, refused = services.bulk._ensure_workflow, []

    async def refuse_once(job: Any) -> None:
        if not refused:
            refused.append(job.id)
            raise ServerUnavailable("restarting")
        await ensure(job)

    monkeypatch.setattr(services.bulk, "_ensure_workflow", refuse_once)
    job = await start_bulk(api, operation="cancel", filter={"ids": [run_id]})
    report = await wait_for_job(api, job["id"])

    assert refused == [job["id"]]
    assert report["outcomes"] == {"done": 1}


async def test_a_run_that_cannot_be_reached_does_not_hold_up_the_others(
    services: Services, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch was tried again for ever, and the job never ended."""
    ids = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(3)]
    cancel = services.operations.cancel

    async def refuse_one(customer_id: str, run_id: str, reason: str, *, by: str) -> None:
        if run_id == ids[0]:
            raise ServerUnavailable("no worker answers")
        await cancel(customer_id, run_id, reason, by=by)

    monkeypatch.setattr(services.operations, "cancel", refuse_one)
    job = await start_bulk(api, operation="cancel", filter={"ids": ids})
    report = await wait_for_job(api, job["id"])
    (item,) = (await api.get(f"/bulk/{job['id']}/items", params={"outcome": "unreachable"})).json()["items"]

    assert report["outcomes"] == {"done": 2, "unreachable": 1}
    assert (item["run_id"], item["message"]) == (ids[0], "no worker answers")


async def add_job(services: Services, run_id: str) -> BulkJob:
    """Add a job of one run, which no worker takes because it has ended."""
    job = BulkJob("cancel", {"ids": [run_id]}, {}, "a test", 1, 1, state="stopped")
    await services.bulk.jobs.add(job)
    return job


async def test_while_temporal_is_unavailable_no_run_is_given_up(
    services: Services, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await add_job(services, await start_run(api, {"a": WAIT}, "trigger -> a"))

    async def refuse(*_: Any, **__: Any) -> None:
        raise ServerUnavailable("restarting")

    monkeypatch.setattr(services.operations, "cancel", refuse)
    monkeypatch.setattr(services.operations.runs, "check", refuse)
    with pytest.raises(ServerUnavailable, match="restarting"):
        await services.bulk.apply(job.id, [], lambda: False)

    assert await services.bulk.jobs.list_items(job.id) == []


async def test_a_batch_that_is_stopped_operates_no_further_run(services: Services, api: httpx.AsyncClient) -> None:
    job = await add_job(services, await start_run(api, {"a": WAIT}, "trigger -> a"))

    assert await services.bulk.apply(job.id, [], lambda: True) is None
    assert await services.bulk.jobs.list_items(job.id) == []
    await services.bulk.apply(job.id, [], lambda: False)
    assert [item.outcome for item in await services.bulk.jobs.list_items(job.id)] == ["done"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_service_ends_although_a_job_ends_in_the_same_moment(services: Services, turns: int) -> None:
    """`asyncio.wait_for` of Python 3.11 loses a cancellation in that moment: the process never ended."""
    bulk = Bulk(services.bulk.jobs, services.bulk.operations, services.bulk.reruns, services.bulk.migrations)

    async def is_looking_for_jobs() -> bool:
        return bool(bulk._wakeup._waiters)  # type: ignore[attr-defined]

    async with asyncio.timeout(LOOK_SECONDS + 60):
        async with bulk.run_in_background():
            await wait_until(is_looking_for_jobs)
            bulk._wakeup.set()
            for _ in range(turns):  # of the event loop
                await asyncio.sleep(0)


async def test_a_workflow_is_paused_with_its_runs(api: httpx.AsyncClient) -> None:
    nodes = {"a": WAIT, "b": {"type": "set", "config": {"x": 1}}}
    definition = make_definition(nodes, "trigger -> a", "a -> b") | {"id": "flow"}
    assert (await api.post("/workflows", json=definition)).status_code == 201
    assert (await api.post("/workflows/flow/activate")).status_code == 200
    without = await api.post("/workflows/flow/pause", params={"include_runs": True})
    assert (await api.post("/workflows/flow/activate")).status_code == 200
    ids = [(await api.post("/workflows/flow/runs")).json()["id"] for _ in range(2)]

    alone = await api.post("/workflows/flow/pause")
    paused = await api.post("/workflows/flow/pause", params={"include_runs": True})
    report = await wait_for_job(api, paused.json()["bulk_id"])
    for run_id in ids:
        assert (await api.post(f"/runs/{run_id}/events/go")).status_code == 202
        await wait_until(partial(is_held, api, run_id))

    assert without.json()["bulk_id"] is None, "no run is open"
    assert (alone.json()["status"], alone.json()["bulk_id"]) == ("paused", None)
    assert (report["operation"], report["outcomes"], report["actor"]) == ("pause", {"done": 2}, "local")


async def is_held(api: httpx.AsyncClient, run_id: str) -> bool:
    run = (await api.get(f"/runs/{run_id}")).json()
    return {wait["kind"] for wait in run["waiting_for"]} == {"paused"}


async def test_pausing_runs_with_their_workflow_needs_the_scope_of_runs(locked: Locked) -> None:
    api = await locked.client("acme", "read", "edit")
    definition = make_definition({"a": WAIT}, "trigger -> a") | {"id": "flow"}
    assert (await api.post("/workflows", json=definition)).status_code == 201
    assert (await api.post("/workflows/flow/activate")).status_code == 200

    refused = await api.post("/workflows/flow/pause", params={"include_runs": True})

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await api.get("/workflows/flow")).json()["status"] == "active"
