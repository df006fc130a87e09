"""Runs over HTTP: started once, listed, streamed, operated."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.model.run import RunSummary
from orchestrator.service import index_writer
from orchestrator.service.services import Services
from orchestrator.temporal.schedules.schedules import build_schedule_id
from tests.api.support import EVERY_HOUR, WAIT, create_workflow, serve_api, start_run, wait_for_status
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal


async def test_a_run_is_explained(api: httpx.AsyncClient) -> None:
    condition = {"field": "input.total", "operator": "greater_than", "value": 10}
    nodes = {"big": {"type": "condition", "condition": condition}, "note": {"type": "set", "config": {"x": 1}}}
    definition = make_definition(nodes, "trigger -> big", "big -true-> note")
    started = await api.post("/runs", json={"definition": definition, "input": {"total": 12}}, params={"wait": 60})
    explained = (await api.get(f"/runs/{started.json()['id']}/explain")).json()

    assert (explained["status"], explained["complete"]) == ("completed", True)
    first, last = explained["items"]
    assert (first["step_id"], first["port"]) == ("big", "true")
    assert first["text"] == "took `true`: input.total greater_than 10: true, saw 12"
    assert first["decision"]["compared"][0]["seen"] == 12
    assert (last["kind"], last["text"]) == ("end", "completed")
    assert (await api.get("/runs/nowhere/explain")).status_code == 404


async def test_a_key_starts_one_run(api: httpx.AsyncClient) -> None:
    body = {"definition": make_definition({"a": WAIT}, "trigger -> a")}
    assert (await api.post("/workflows", json=body["definition"] | {"id": "w"})).status_code == 201

    answers = await asyncio.gather(
        *(api.post("/workflows/w/runs", json={}, headers={"idempotency-key": "order 7"}) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * 7]

    async def list_runs() -> list[Any]:
        return list((await api.get("/runs", params={"workflow_id": "w"})).json()["items"])

    assert len(await wait_until(list_runs)) == 1
    other = await api.post("/workflows/w/runs", json={}, headers={"idempotency-key": "order 8"})
    assert other.json()["id"] != answers[0].json()["id"]


async def test_wait_returns_the_finished_run_or_its_location(api: httpx.AsyncClient) -> None:
    ended = await api.post(
        "/runs",
        params={"wait": 60},
        json={"definition": make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")},
    )
    going = await api.post(
        "/runs", params={"wait": 0.2}, json={"definition": make_definition({"a": WAIT}, "trigger -> a")}
    )

    assert (ended.status_code, ended.json()["status"], ended.json()["output"]) == (200, "completed", {"x": 1})
    assert going.status_code == 202
    assert going.headers["location"] == going.json()["links"]["self"]
    assert (await wait_for_status(api, going.json()["id"], "waiting"))["completed_at"] is None


async def test_an_invalid_input_is_rejected_with_its_path(api: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    definition = make_definition({"a": WAIT}, "trigger -> a", settings={"input_schema": schema})

    answer = await api.post("/runs", json={"definition": definition, "input": {"n": "many"}})

    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["errors"]] == ["/input/n"]


async def test_runs_are_filtered(api: httpx.AsyncClient) -> None:
    ids = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(3)]
    await api.post(f"/runs/{ids[0]}/events/go", json={"fine": True})
    await api.post(f"/runs/{ids[1]}/cancel")

    async def list_runs() -> dict[str, str] | None:
        items = (await api.get("/runs")).json()["items"]
        found = {item["id"]: item["status"] for item in items}
        return found if sorted(found.values()) == ["cancelled", "completed", "waiting"] else None

    assert await wait_until(list_runs) == {ids[0]: "completed", ids[1]: "cancelled", ids[2]: "waiting"}
    waiting = (await api.get("/runs", params={"status": "waiting"})).json()["items"]
    assert [run["id"] for run in waiting] == [ids[2]]
    pages, cursor = [], None
    while True:
        page = (await api.get("/runs", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        pages += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == ids[::-1]
    first = (await api.get(f"/runs/{ids[0]}")).json()["started_at"]
    assert (await api.get("/runs", params={"until": first[:19] + "Z"})).json()["items"] == []
    both = (await api.get("/runs", params={"status": ["completed", "cancelled"]})).json()["items"]
    assert [run["id"] for run in both] == [ids[1], ids[0]]
    assert (await api.get("/runs", params={"ended_since": first})).json()["items"] == both
    assert (await api.get("/runs", params={"status": "skipped"})).status_code == 422
    assert (await api.get("/runs", params={"since": "yesterday"})).status_code == 422


@pytest.mark.parametrize("verb", ["cancel", "terminate"])
async def test_a_run_that_a_person_ends_says_who_and_why(
    api: httpx.AsyncClient, services: Services, customer: str, verb: str
) -> None:
    """Of a cancelled run nobody could tell whether a colleague, a script or the engine had ended it."""
    by_name, by_request = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(2)]
    await getattr(services.operations, verb)(customer, by_name, "ordered twice", by="Ada's key")
    answer = await api.post(f"/runs/{by_request}/{verb}")
    runs = [await wait_for_status(api, run_id, "cancelled") for run_id in (by_name, by_request)]

    async def list_ended() -> dict[str, Any] | None:
        items = (await api.get("/runs", params={"status": "cancelled"})).json()["items"]
        return (
            {item["id"]: (item["cancelled_by"], item["cancel_reason"]) for item in items} if len(items) == 2 else None
        )

    expected = [("Ada's key", "ordered twice"), ("local", None)]
    assert answer.status_code == 202
    assert [(run["cancelled_by"], run["cancel_reason"]) for run in runs] == expected
    assert await wait_until(list_ended) == dict(zip((by_name, by_request), expected, strict=True))


async def test_a_called_run_names_the_run_whose_cancellation_it_shares(api: httpx.AsyncClient) -> None:
    called = {"a": WAIT}
    body = {
        "definition": make_definition(
            {"call": {"type": "workflow", "config": {"workflow_id": "called"}}}, "trigger -> call"
        ),
        "callees": [make_definition(called, "trigger -> a") | {"id": "called"}],
    }
    run_id = (await api.post("/runs", json=body)).json()["id"]

    async def find_called() -> str | None:
        items = (await api.get("/runs", params={"trigger": "workflow"})).json()["items"]
        return items[0]["id"] if items else None

    inner = await wait_until(find_called)
    await api.post(f"/runs/{run_id}/cancel", json={"reason": "ordered twice"})

    assert (await wait_for_status(api, inner, "cancelled"))["cancelled_by"] == f"run {run_id}"
    assert (await wait_for_status(api, run_id, "cancelled"))["cancel_reason"] == "ordered twice"


async def test_a_failed_run_is_found_by_its_error(api: httpx.AsyncClient) -> None:
    """Of a hundred failed runs, each had to be opened to see why it had failed."""
    fail = {"type": "end", "config": {"outcome": "failed", "message": "no stock"}}
    workflow = make_definition({"a": fail}, "trigger -> a") | {"id": "w", "name": "Orders"}
    assert (await api.post("/workflows", json=workflow)).status_code == 201
    run_id = (await api.post("/workflows/w/runs")).json()["id"]
    await wait_for_status(api, run_id, "failed")

    async def find(**params: Any) -> list[dict[str, Any]]:
        return list((await api.get("/runs", params=params)).json()["items"])

    (row,) = await wait_until(lambda: find(status="failed"))
    found = {"workflow_name": "Orders", "node_id": "a", "error_type": "execution_error"}
    assert {name: row[name] for name in found} == found
    assert "no stock" in row["error"]
    assert row["as_of"] >= row["completed_at"]
    assert await find(error_type="execution_error", node="a", error="NO STOCK", workflow_id="w") == [row]
    assert await find(error="no bread", workflow_id="w") == await find(error_type="action_error") == []
    wide = await api.get("/runs", params={"error": "no stock"})
    assert (wide.status_code, wide.json()["code"]) == (422, "filter_too_wide")


async def test_called_runs_and_reruns_are_found(api: httpx.AsyncClient) -> None:
    call = {"call": {"type": "workflow", "config": {"workflow_id": "called"}}}
    body = {
        "definition": make_definition(
            {**call, "after": {"type": "set", "config": {"x": 1}}}, "trigger -> call", "call -> after"
        ),
        "callees": [make_definition({"b": {"type": "set", "config": {"y": 1}}}, "trigger -> b") | {"id": "called"}],
    }
    run_id = (await api.post("/runs", params={"wait": 60}, json=body)).json()["id"]
    again = (await api.post(f"/runs/{run_id}/rerun", params={"wait": 60}, json={"from_node": "after"})).json()["id"]

    async def find(**params: Any) -> list[str]:
        return [each["id"] for each in (await api.get("/runs", params=params)).json()["items"]]

    (called,) = await wait_until(lambda: find(parent=run_id))
    assert (await api.get(f"/runs/{called}")).json()["parent_run_id"] == run_id
    assert await find(rerun_of=run_id) == [again]


async def test_steps_are_paged(api: httpx.AsyncClient) -> None:
    nodes = {name: {"type": "set", "config": {name: 1}} for name in "abc"}
    run_id = await start_run(api, nodes, "trigger -> a", "a -> b", "b -> c")
    await wait_for_status(api, run_id, "completed")

    first = (await api.get(f"/runs/{run_id}/steps", params={"limit": 2})).json()
    second = (await api.get(f"/runs/{run_id}/steps", params={"cursor": first["next_cursor"]})).json()

    assert [step["node_id"] for step in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None


async def test_steps_are_selected_and_summed_up(api: httpx.AsyncClient) -> None:
    nodes = {"each": {"type": "loop", "collection": [1, 2, 3]}, "a": {"type": "set", "config": {"a": "{{ item }}"}}}
    run_id = await start_run(api, nodes, "trigger -> each", "each -body-> a")
    await wait_for_status(api, run_id, "completed")

    wanted = {"node_id": "a", "order": "newest", "limit": 2}
    first = (await api.get(f"/runs/{run_id}/steps", params=wanted)).json()
    second = (await api.get(f"/runs/{run_id}/steps", params=wanted | {"cursor": first["next_cursor"]})).json()
    assert [step["path"] for step in first["items"] + second["items"]] == ["each[2]", "each[1]", "each[0]"]
    assert second["next_cursor"] is None

    overview = (await api.get(f"/runs/{run_id}/overview", params={"iteration": "each[1]", "steps": 1})).json()
    assert (overview["run"]["steps"], overview["run"]["steps_total"], overview["steps_stored"]) == ([], 4, 4)
    assert [step["id"] for step in overview["steps"]] == ["each[1]/a"]
    assert {node["node_id"]: node["statuses"] for node in overview["nodes"]} == {
        "each": {"completed": 1},
        "a": {"completed": 1},
    }
    assert overview["passes"][0]["statuses"] == {"completed": 3}
    refused = await api.get(f"/runs/{run_id}/overview", params={"iteration": "each"})
    assert refused.status_code == 422


async def test_a_loop_in_progress_says_how_far_it_has_come(api: httpx.AsyncClient) -> None:
    """Its step was not in the document once more than `step_log_limit` steps had begun after it."""
    nodes = {"each": {"type": "loop", "collection": [1, 2, 3], "body": ["a"]}, "a": {"type": "set"}, "hear": WAIT}
    edges = ("trigger -> each", "a -> hear")
    run_id = await start_run(api, nodes, *edges, settings={"step_log_limit": 1})

    async def find_progress() -> dict[str, int] | None:
        nodes = (await api.get(f"/runs/{run_id}/overview")).json()["nodes"]
        items = next((node["first"]["items"] for node in nodes if node["node_id"] == "each"), None)
        return items if items and items["succeeded"] else None

    await wait_for_status(api, run_id, "waiting")
    assert (await api.post(f"/runs/{run_id}/events/go")).status_code == 202

    assert await wait_until(find_progress) == {"count": 3, "succeeded": 1, "failed": 0}
    await api.post(f"/runs/{run_id}/terminate")


async def test_input_and_output_are_objects_where_empty(api: httpx.AsyncClient) -> None:
    """Clients read `input_data.x` and `output_data.x` without asking first; both were null."""
    run_id = await start_run(api, {"note": {"type": "end"}}, "trigger -> note")
    run = await wait_for_status(api, run_id, "completed")
    schemas = (await api.get("/openapi.json")).json()["components"]["schemas"]

    assert (run["input_data"], run["steps"][0]["input_data"], run["steps"][0]["output_data"]) == ({}, {}, {})
    assert schemas["Run"]["properties"]["input_data"]["default"] == {}
    assert schemas["StepDocument"]["properties"]["output_data"]["default"] == {}


async def test_what_the_index_alone_knows_of_a_run_is_incomplete(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    """Temporal deletes ended runs after its retention; their documents claimed that no step had run."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    run_id = f"{customer}-gone"
    await services.operations.index.put(
        [
            RunSummary(
                id=run_id,
                workflow_id="w",
                workflow_version=1,
                customer_id=customer,
                status="completed",
                started_at=at,
                completed_at=at,
            )
        ]
    )
    run = (await api.get(f"/runs/{run_id}")).json()
    steps = (await api.get(f"/runs/{run_id}/steps")).json()

    assert (run["status"], run["steps"], run["complete"]) == ("completed", [], False)
    assert (steps["items"], steps["complete"]) == ([], False)
    for operation in ("cancel", "terminate", "pause", "resume", "events/go"):
        refused = await api.post(f"/runs/{run_id}/{operation}")
        assert refused.status_code == 409, operation
        assert refused.json()["detail"] == f"run {run_id} has already ended (completed)"


async def test_a_run_is_paused_and_resumed(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": WAIT, "b": WAIT | {"config": {"event": "end"}}}, "trigger -> a", "a -> b")
    assert (await api.post(f"/runs/{run_id}/pause")).status_code == 202
    await api.post(f"/runs/{run_id}/events/go")

    async def is_paused() -> bool:
        run = (await api.get(f"/runs/{run_id}")).json()
        return any(wait["kind"] == "paused" for wait in run["waiting_for"])

    await wait_until(is_paused)
    await api.post(f"/runs/{run_id}/resume")
    await api.post(f"/runs/{run_id}/events/end", json={"answer": 42})

    ended = await wait_for_status(api, run_id, "completed")
    assert ended["steps"][-1]["output_data"]["payload"] == {"answer": 42}
    late = await api.post(f"/runs/{run_id}/pause")
    assert (late.status_code, late.json()["code"]) == (409, "operation_refused")


async def test_a_started_run_is_listed_at_once(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_writer, "FLUSH_SECONDS", 60.0)

    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    listed = (await api.get("/runs")).json()["items"]

    assert [run["id"] for run in listed] == [run_id]


async def test_an_operator_resolves_a_failed_step(api: httpx.AsyncClient, world: World, customer: str) -> None:
    world.script({"http.request": [{"error": {"message": "down"}}, {"output": {"status": 200}}]}, customer)
    node = {
        "type": "action", "action": "http.request", "config": {"url": "http://service.example"},
        "on_error": "pause", "retry": {"maximum_attempts": 1},
    }  # fmt: skip
    run_id = await start_run(api, {"call": node}, "trigger -> call")
    await world.wait_for_waiting(run_id, "operator")

    wrong = await api.post(f"/runs/{run_id}/resolve", json={"node_id": "other", "action": "retry"})
    right = await api.post(f"/runs/{run_id}/resolve", json={"node_id": "call", "action": "retry"})

    assert wrong.status_code == 409
    assert right.json() == {"step_id": "call"}
    assert (await wait_for_status(api, run_id, "completed"))["steps"][0]["output_data"] == {"status": 200}


async def stream_from(
    api: httpx.AsyncClient, run_id: str, event_id: str = "", **params: str
) -> tuple[int, list[dict[str, str]]]:
    """Read what follows an event, or the start."""
    headers = {"last-event-id": event_id} if event_id else {}
    async with api.stream("GET", f"/runs/{run_id}/stream", params=params, headers=headers) as answer:
        return answer.status_code, [event async for event in _read_events(answer)]


@pytest.fixture
async def streamed_run(api: httpx.AsyncClient) -> tuple[str, list[dict[str, str]]]:
    """A run and its stream, from the start to the end."""
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")
    events: list[dict[str, str]] = []
    async with api.stream("GET", f"/runs/{run_id}/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for event in _read_events(answer):
            if not events:
                await api.post(f"/runs/{run_id}/events/go")
            events.append(event)
    return run_id, events


async def test_a_stream_shows_what_happens_until_the_end(streamed_run: tuple[str, list[dict[str, str]]]) -> None:
    run_id, events = streamed_run
    first, signal, last = (json.loads(event["data"]) for event in events)

    assert [event["event"] for event in events] == ["run", "signal", "run"]
    assert (first["status"], signal["name"], last["status"], last["id"]) == ("running", "go", "completed", run_id)


async def test_a_stream_resumes_after_the_last_event_id(
    api: httpx.AsyncClient, streamed_run: tuple[str, list[dict[str, str]]]
) -> None:
    run_id, events = streamed_run

    assert await stream_from(api, run_id, events[0]["id"]) == (200, events[1:])
    assert await stream_from(api, run_id, events[-1]["id"]) == (204, []), "a browser must not connect again"


async def test_a_cursor_that_cannot_be_read_is_rejected(
    api: httpx.AsyncClient, streamed_run: tuple[str, list[dict[str, str]]]
) -> None:
    refused = await api.get(f"/runs/{streamed_run[0]}/stream", headers={"last-event-id": "x"})

    assert (refused.status_code, refused.json()["code"]) == (422, "bad_cursor")


async def test_a_stream_is_filtered_by_node_and_status(api: httpx.AsyncClient, world: World, customer: str) -> None:
    world.script({"http.request": {"error": {"message": "down"}}}, customer)
    call = {
        "type": "action", "action": "http.request", "config": {"url": "http://service.example"},
        "on_error": "skip", "retry": {"maximum_attempts": 1},
    }  # fmt: skip
    nodes = {"a": {"type": "delay", "delay_seconds": 0.1}, "b": {"type": "delay", "delay_seconds": 0.1}, "c": call}
    run_id = await start_run(api, nodes, "trigger -> a", "a -> b", "b -> c")
    await wait_for_status(api, run_id, "completed")
    queries = [{"node_id": "b"}, {"status": "failed"}, {"node_id": "a", "status": "failed"}]
    streams = [(await stream_from(api, run_id, **query))[1] for query in queries]
    steps = [[json.loads(event["data"]) for event in events[1:-1]] for events in streams]

    assert [[(step["node_id"], step["status"]) for step in each] for each in steps] == [
        [("b", "waiting"), ("b", "completed")],
        [("c", "failed")],
        [],
    ]
    assert all(events[0]["event"] == events[-1]["event"] == "run" for events in streams)


async def test_an_unknown_run_has_no_stream(api: httpx.AsyncClient) -> None:
    assert (await api.get("/runs/nothing/stream")).status_code == 404


async def _read_events(answer: httpx.Response) -> Any:
    event: dict[str, str] = {}
    async for text in answer.aiter_lines():
        if not text and event:
            yield event
            event = {}
        elif text and not text.startswith(":"):
            name, _, value = text.partition(":")
            event[name] = value.strip()


async def test_an_unknown_run_is_not_found(api: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/steps"),
        ("POST", "/cancel"),
        ("POST", "/rerun"),
        ("POST", "/events/x"),
    ):
        answer = await api.request(method, f"/runs/no-such-run{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"input": 1,}', 400),
        (b'{"input": NaN}', 400),
        (b'{"input": "\\ud800"}', 400),
        (b'{"input": 1, "input": 2}', 400),
        (b"\xff", 400),
        (b'{"input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
        (b'{"inptu": 1}', 422),
        (b"[1]", 422),
        (b'{"version": true}', 422),
        (b'{"version": "1"}', 422),
        (b'{"input": "' + b"x" * 1_100_000 + b'"}', 413),
    ],
    ids=["comma", "nan", "surrogate", "twice", "no utf-8", "deep", "unknown", "no object", "bool", "text", "large"],
)
async def test_a_malformed_body_is_rejected_with_its_position(api: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await api.post("/workflows/any/runs", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


async def test_a_body_without_a_length_is_limited_too(api: httpx.AsyncClient) -> None:
    async def send_parts() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    answer = await api.post("/workflows/any/runs", content=send_parts(), headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_an_unknown_url_is_a_problem_document(api: httpx.AsyncClient) -> None:
    nowhere, wrong = await api.get("/nowhere"), await api.delete("/runs")

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "no_such_address")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


async def test_a_lost_index_is_rebuilt_from_temporal(
    api: httpx.AsyncClient, world: World, customer: str, tmp_path: Path
) -> None:
    ended, killed, going = [await start_run(api, {"a": WAIT}, "trigger -> a") for _ in range(3)]
    await api.post(f"/runs/{ended}/events/go")
    await api.post(f"/runs/{killed}/terminate", json={"reason": "enough"})
    await wait_for_status(api, ended, "completed")
    wanted = {ended: "completed", killed: "cancelled", going: "waiting"}

    async with serve_api(world, tmp_path) as (services, _):

        async def list_runs() -> bool:
            return {run.id: run.status for run in await services.operations.index.list_runs(customer)} == wanted

        await wait_until(list_runs)
        await services.runs.cancel(going)
        wanted[going] = "cancelled"
        await wait_until(list_runs)
        (found,) = [run for run in await services.operations.index.list_runs(customer) if run.id == killed]
        assert found.completed_at is not None
        cancelled = await services.runs.visibility.list_runs(customer_id=customer, status="cancelled")
        assert {run.id for run in cancelled} == {killed, going}


async def test_an_internal_workflow_of_temporal_is_not_a_run(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await create_workflow(api, "w", EVERY_HOUR)
    await api.post("/workflows/w/activate")
    scheduler = f"temporal-sys-scheduler:{build_schedule_id(customer, 'w')}"

    for method, path in (("GET", ""), ("POST", "/terminate"), ("POST", "/pause"), ("GET", "/stream")):
        answer = await api.request(method, f"/runs/{scheduler}{path}")
        assert answer.status_code == 404, (path, answer.text)
    assert (await api.post("/workflows/w/schedule/trigger")).status_code == 202


async def test_a_stream_resumes_only_in_an_existing_execution(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, {"a": WAIT}, "trigger -> a")

    for execution in ("-" * 36, "00000000-0000-4000-8000-000000000000"):
        answer = await api.get(f"/runs/{run_id}/stream", headers={"last-event-id": f"{execution};=0.0"})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


async def test_counts_are_those_of_the_list_with_the_same_filters(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    no = {"error": {"message": "no", "error_type": "action_error"}}
    world.script({"log.message": [no, no, no, {"output": {}}]}, customer)  # only the rerun succeeds
    await create_workflow(api, "counted", {"type": "manual"})
    say = {"type": "action", "action": "log.message", "config": {"message": "hi"}, "retry": {"maximum_attempts": 1}}
    failing = make_definition({"say": say}, "trigger -> say")
    assert (await api.post("/workflows", json=failing | {"id": "other"})).status_code == 201
    started = [
        (await api.post(f"/workflows/{name}/runs")).json()["id"] for name in ("counted", "other", "other", "other")
    ]
    for run_id in started:
        await wait_for_status(api, run_id, "completed", "failed")

    async def count_ended() -> dict[str, Any] | None:
        counts = (await api.get("/runs/counts")).json()
        return counts if counts["by_status"] == {"completed": 1, "failed": 3} else None

    counts = await wait_until(count_ended)
    filtered = (await api.get("/runs/counts", params={"workflow_id": "counted"})).json()

    group = {"workflow_id": "other", "node_id": "say", "error_type": "action_error", "number": 3, "error": "no"}
    assert counts["by_workflow"] == {"counted": 1, "other": 3}
    assert counts["failures"] == [group]
    assert (filtered["by_workflow"], filtered["failures"]) == ({"counted": 1}, [])
    await api.post(f"/runs/{started[1]}/rerun")
    assert (await api.get("/runs/counts", params={"workflow_id": "other"})).json()["failures"] == [
        {**group, "number": 2}
    ]
