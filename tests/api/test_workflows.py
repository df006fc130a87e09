"""The life of definitions over HTTP."""

import asyncio
import json
from collections.abc import Awaitable
from itertools import pairwise
from typing import Any

import httpx
import pytest

from orchestrator.errors import DefinitionInvalid
from orchestrator.service.process_pool import Busy
from orchestrator.service.services import Services
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.workflows import Definitions
from tests.api.support import SET, create_workflow
from tests.temporal.world import make_definition, wait_until

pytestmark = pytest.mark.temporal


def make_greeting(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {
        "id": "greeting",
        "name": "Greeting",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "greet", "type": "set", "config": {"text": text + " {{ input.name }}"}},
            {"id": "done", "type": "end", "config": {"output": {"text": "{{ text }}"}}},
        ],
        "edges": [{"source": "trigger", "target": "greet"}, {"source": "greet", "target": "done"}],
        **more,
    }


async def store_workflow(api: httpx.AsyncClient, definition: dict[str, Any] | None = None) -> httpx.Response:
    answer = await api.post("/workflows", json=definition or make_greeting())
    assert answer.status_code == 201, answer.text
    return answer


async def test_a_definition_is_stored_as_a_draft(api: httpx.AsyncClient, customer: str) -> None:
    answer = await store_workflow(api)

    assert answer.headers["location"] == "/api/v1/workflows/greeting"
    assert answer.headers["etag"].startswith('"1-')
    shown = (await api.get("/workflows/greeting")).json()
    assert shown == answer.json()
    assert {name: shown[name] for name in ("status", "version", "customer_id", "run_count")} == {
        "status": "draft", "version": 0, "customer_id": customer, "run_count": 0,
    }  # fmt: skip
    assert shown["nodes"] == make_greeting()["nodes"]


async def test_all_problems_are_reported_with_their_paths_and_nothing_is_stored(api: httpx.AsyncClient) -> None:
    wrong = make_greeting(trigger={"type": "schedule", "cron": "61 * * * *"})
    wrong["nodes"][1]["config"]["outcome"] = "finished"

    answer = await api.post("/workflows", json=wrong)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"]) == ("definition_invalid", 422)
    assert {each["path"] for each in body["errors"]} == {"/trigger/cron", "/nodes/1/config/outcome"}
    assert all(each["hint"] or each["message"] for each in body["errors"])
    assert (await api.get("/workflows/greeting")).status_code == 404


async def test_an_id_is_unique(api: httpx.AsyncClient) -> None:
    await store_workflow(api)

    again = await api.post("/workflows", json=make_greeting())

    assert (again.status_code, again.json()["code"]) == (409, "workflow_exists")


async def test_publishing_creates_the_next_version_of_the_edited_draft(api: httpx.AsyncClient) -> None:
    await store_workflow(api)
    assert (await api.post("/workflows/greeting/activate")).json()["status"] == "active"
    edited = await api.put("/workflows/greeting", json=make_greeting("Good day"))
    assert (edited.json()["version"], edited.json()["edited"]) == (1, True)

    before = await api.post("/workflows/greeting/runs", params={"wait": 60}, json={"input": {"name": "Ada"}})
    published = await api.post("/workflows/greeting/activate")
    after = await api.post("/workflows/greeting/runs", params={"wait": 60}, json={"input": {"name": "Ada"}})
    older = await api.post(
        "/workflows/greeting/runs", params={"wait": 60}, json={"input": {"name": "Ada"}, "version": 1}
    )

    assert [run.json()["output"]["text"] for run in (before, after, older)] == [
        "Hello Ada",
        "Good day Ada",
        "Hello Ada",
    ]
    assert [run.json()["workflow_version"] for run in (before, after, older)] == [1, 2, 1]
    assert published.json()["version"] == 2
    assert (await api.post("/workflows/greeting/activate")).json()["version"] == 2, "nothing was edited"


async def test_an_activation_that_is_stored_succeeds(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The warnings came from a second check, after the commit, and so did the schedule: both may find the server busy.
    await store_workflow(api, make_greeting(zebra=1, trigger={"type": "schedule", "cron": "0 9 * * *"}))
    check, checked = services.workflows.plans.check, 0

    async def check_once(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        checked += 1
        if checked > 1:
            raise Busy()
        return await check(*args, **kwargs)

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise Busy()

    with monkeypatch.context() as patch:
        patch.setattr(services.workflows.plans, "check", check_once)
        patch.setattr(services.workflows.reconciler.schedules, "install", refuse)
        answer = await api.post("/workflows/greeting/activate")

    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert [each["path"] for each in answer.json()["warnings"]] == ["/zebra"]


async def test_rollback_publishes_older_content_as_the_newest(api: httpx.AsyncClient) -> None:
    await store_workflow(api)
    await api.post("/workflows/greeting/activate")
    await api.put("/workflows/greeting", json=make_greeting("Good day"))
    await api.post("/workflows/greeting/activate")

    back = await api.post("/workflows/greeting/rollback", json={"version": 1})

    assert (back.json()["version"], back.json()["nodes"]) == (3, make_greeting()["nodes"])
    listed = (await api.get("/workflows/greeting/versions")).json()["items"]
    assert [(each["version"], each["copy_of"]) for each in listed] == [(3, 1), (2, None), (1, None)]
    assert (
        (await api.get("/workflows/greeting/versions/2"))
        .json()["definition"]["nodes"][0]["config"]["text"]
        .startswith("Good day")
    )
    assert (await api.post("/workflows/greeting/rollback", json={"version": 9})).status_code == 404


async def test_a_lost_race_is_a_conflict(api: httpx.AsyncClient) -> None:
    first = await store_workflow(api)
    tag = first.headers["etag"]

    answers = await asyncio.gather(
        *(
            api.put("/workflows/greeting", json=make_greeting(text), headers={"if-match": tag})
            for text in ("A", "B", "C")
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    won = next(answer for answer in answers if answer.status_code == 200)
    shown = await api.get("/workflows/greeting")
    assert shown.headers["etag"] == won.headers["etag"]
    assert shown.json()["nodes"] == won.json()["nodes"]
    assert (
        await api.put("/workflows/greeting", json=make_greeting(), headers={"if-match": "nonsense"})
    ).status_code == 412


async def test_an_etag_of_a_deleted_workflow_does_not_match_a_new_one(api: httpx.AsyncClient) -> None:
    old = (await store_workflow(api)).headers["etag"]
    await api.delete("/workflows/greeting")
    new = (await store_workflow(api, make_greeting("Good day"))).headers["etag"]

    refused = await api.put("/workflows/greeting", json=make_greeting("Lost"), headers={"if-match": old})
    assert (refused.status_code, refused.json()["code"]) == (412, "edit_conflict")
    assert (await api.delete("/workflows/greeting", headers={"if-match": old})).status_code == 412

    assert (await api.put("/workflows/greeting", json=make_greeting(), headers={"if-match": new})).status_code == 200


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("{tag}", 200),
        ("W/{tag}", 200),
        ('"another", {tag}', 200),
        ('W/"another" ,W/{tag}', 200),
        ("*", 200),
        ('"another", "1"', 412),
        ('"another', 412),
    ],
)
async def test_if_match_accepts_etags_as_proxies_rewrite_them(
    api: httpx.AsyncClient, written: str, status: int
) -> None:
    tag = (await store_workflow(api)).headers["etag"]

    changed = await api.put(
        "/workflows/greeting", json=make_greeting("A"), headers={"if-match": written.replace("{tag}", tag)}
    )

    assert changed.status_code == status


async def test_a_draft_can_be_tried_and_an_archived_workflow_cannot(api: httpx.AsyncClient) -> None:
    await store_workflow(api)
    tried = await api.post("/workflows/greeting/runs", params={"wait": 60}, json={"input": {"name": "Ada"}})
    assert tried.json()["output"] == {"text": "Hello Ada"}

    assert (await api.post("/workflows/greeting/pause")).status_code == 409
    assert (await api.post("/workflows/greeting/archive")).json()["status"] == "archived"

    assert (await api.post("/workflows/greeting/runs")).status_code == 409
    assert (await api.put("/workflows/greeting", json=make_greeting())).status_code == 409
    assert (await api.post("/workflows/greeting/activate")).json()["status"] == "active"


async def test_a_deleted_workflow_is_not_found(api: httpx.AsyncClient) -> None:
    await store_workflow(api)
    await api.post("/workflows/greeting/activate")

    assert (await api.delete("/workflows/greeting", headers={"if-match": '"77"'})).status_code == 412
    assert (await api.delete("/workflows/greeting")).status_code == 204

    assert (await api.get("/workflows/greeting")).status_code == 404
    assert (await api.get("/workflows/greeting/versions/1")).status_code == 404
    await store_workflow(api)


async def test_pages_of_a_list_contain_every_item_once(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await store_workflow(api, make_greeting(id=f"w{number}"))

    ids, cursor = [], None
    while True:
        page = (await api.get("/workflows", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        assert len(page["items"]) <= 2
        ids += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert ids == [f"w{number}" for number in range(5)]
    bad = await api.get("/workflows", params={"cursor": "bm9uc2Vuc2U"})
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_cursor")


async def test_a_definition_is_validated_without_being_stored(api: httpx.AsyncClient) -> None:
    good = (await api.post("/workflows/validate", json=make_greeting())).json()
    bad = (await api.post("/workflows/validate", json=make_greeting(nodes=[]))).json()

    assert good["valid"] is True
    assert bad["valid"] is False
    assert bad["problems"]
    assert (await api.get("/workflows")).json()["items"] == []


async def test_validation_names_what_can_be_read_at_a_place(api: httpx.AsyncClient) -> None:
    nodes = [{"id": "a", "type": "set", "config": {"total": 12}}, {"id": "b", "type": "set", "config": {"x": 1}}]
    edges = [{"source": "trigger", "target": "a"}, {"source": "a", "target": "b"}]
    definition = make_greeting(nodes=nodes, edges=edges)

    checked = (await api.post("/workflows/validate", params={"at": "/nodes/1/config/x"}, json=definition)).json()
    plain = (await api.post("/workflows/validate", json=definition)).json()
    refused = await api.post("/workflows/validate", params={"at": "nodes"}, json=definition)

    assert checked["valid"] is True
    assert {"name": "total", "type": "number", "may_be_missing": False} in checked["names"]
    assert plain["names"] is None
    assert refused.status_code == 422


def make_row(count: int) -> dict[str, Any]:
    """Build a workflow of `count` nodes in sequence."""
    ids = ["trigger", *(f"n{number}" for number in range(count))]
    nodes = [{"id": each, "type": "set", "config": {f"v{each}": "{{ input.name }}"}} for each in ids[1:]]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    return make_greeting(nodes=nodes, edges=edges)


async def count_loop_turns(doing: Awaitable[Any]) -> int:
    """Count how often the event loop ran other tasks meanwhile."""
    task, turns = asyncio.ensure_future(doing), 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    task.result()
    return turns


FEW = 5
"""Turns of the loop before and after a call that blocks it."""


async def test_validation_does_not_block_the_event_loop(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking 9,000 nodes takes about a second, and several of the processor time of a busy machine."""
    monkeypatch.setattr(services.plans.pool, "cpu_seconds", 60)
    assert await count_loop_turns(services.plans.check("anybody", make_row(9_000))) > FEW


async def test_statistics_count_runs(api: httpx.AsyncClient, services: Services) -> None:
    nodes = [
        {"id": "way", "type": "condition", "condition": {"field": "input.how", "operator": "equals", "value": "well"}},
        {"id": "well", "type": "end", "config": {}},
        {"id": "ill", "type": "end", "config": {"outcome": "failed"}},
    ]
    edges = [
        {"source": "trigger", "target": "way"},
        {"source": "way", "target": "well", "condition": "true"},
        {"source": "way", "target": "ill", "condition": "false"},
    ]
    await store_workflow(api, make_greeting(nodes=nodes, edges=edges))
    await api.post("/workflows/greeting/activate")
    run_ids = []
    for how in ("well", "well", "ill"):
        run = await api.post("/workflows/greeting/runs", params={"wait": 60}, json={"input": {"how": how}})
        run_ids.append(run.json()["id"])

    async def read_statistics() -> Any:
        statistics = (await api.get("/workflows/greeting/stats")).json()
        is_counted = statistics["by_status"] == {"completed": 2, "failed": 1} and statistics["usage"]["runs"] == 3
        return statistics if is_counted else None

    statistics = await wait_until(read_statistics)
    assert (statistics["runs"], statistics["success_rate"]) == (3, 66.67)
    assert 0 <= statistics["p50_ms"] <= statistics["p95_ms"]
    assert statistics["last_run_at"]
    used = [(await api.get(f"/runs/{run_id}")).json()["usage"] for run_id in run_ids]
    for name in ("executions", "events", "bytes", "steps"):
        assert statistics["usage"][name] == sum(usage[name] for usage in used) > 0
    assert (await api.get("/workflows/greeting/stats", params={"version": 7})).json()["runs"] == 0
    shown = (await api.get("/workflows/greeting")).json()
    assert (shown["run_count"], shown["success_count"], shown["failure_count"]) == (3, 2, 1)


async def test_workflows_call_stored_workflows(api: httpx.AsyncClient) -> None:
    caller = {
        "id": "caller", "name": "Caller", "trigger": {"type": "manual"},
        "nodes": [
            {"id": "call", "type": "workflow", "config": {"workflow_id": "greeting", "input": {"name": "Bo"}}},
            {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output.output }}"}},
        ],
        "edges": [{"source": "trigger", "target": "call"}, {"source": "call", "target": "done"}],
    }  # fmt: skip
    assert (await api.post("/workflows", json=caller)).status_code == 422, "there is no greeting yet"
    await store_workflow(api)
    await store_workflow(api, caller)

    ran = await api.post("/workflows/caller/runs", params={"wait": 60})

    assert ran.json()["output"] == {"text": "Hello Bo"}


async def test_each_call_runs_the_version_that_it_names(api: httpx.AsyncClient) -> None:
    def make_caller(name: str, **calls: dict[str, Any]) -> dict[str, Any]:
        nodes = [{"id": node, "type": "workflow", "config": config} for node, config in calls.items()]
        output = {node: f"{{{{ steps.{node}.output.output }}}}" for node in calls}
        ids = ["trigger", *calls, "done"]
        return {
            "id": name, "name": name, "trigger": {"type": "manual"},
            "nodes": [*nodes, {"id": "done", "type": "end", "config": {"output": output}}],
            "edges": [{"source": one, "target": next_} for one, next_ in pairwise(ids)],
        }  # fmt: skip

    for text in ("One", "Two"):
        await store_workflow(api, make_greeting(text)) if text == "One" else await api.put(
            "/workflows/greeting", json=make_greeting(text)
        )
        await api.post("/workflows/greeting/activate")
    newest, first = {"workflow_id": "greeting"}, {"workflow_id": "greeting", "version": 1}
    await store_workflow(api, make_caller("middle", newest=newest))
    await store_workflow(api, make_greeting() | {"id": "draft"})
    draft = make_caller("x", a={"workflow_id": "draft", "version": 1})
    (problem,) = (await api.post("/workflows/validate", json=draft)).json()["problems"]
    assert problem["hint"] == "it has never been published"
    outer = make_caller(
        "outer", newest=newest, first=first, second=first | {"version": 2}, middle={"workflow_id": "middle"}
    )

    ran = await api.post("/runs", params={"wait": 60}, json={"definition": outer})

    output = ran.json()["output"]
    texts = {name: each["text"].split()[0] for name, each in output.items() if name != "middle"}
    assert texts == {"newest": "Two", "first": "One", "second": "Two"}
    assert output["middle"]["newest"]["text"].startswith("Two")
    for version in (3, -1):
        refused = await api.post("/workflows/validate", json=make_caller("x", a=newest | {"version": version}))
        assert [each["path"] for each in refused.json()["problems"]] == ["/nodes/0/config/version"]


async def test_values_that_python_considers_equal_are_different_versions(api: httpx.AsyncClient) -> None:
    nodes = [{"id": "done", "type": "end", "config": {"output": {"paid": 1}}}]
    definition = make_greeting() | {"nodes": nodes, "edges": [{"source": "trigger", "target": "done"}]}
    await store_workflow(api, definition)
    await api.post("/workflows/greeting/activate")
    nodes[0]["config"] = {"output": {"paid": True}}
    await api.put("/workflows/greeting", json=definition)

    assert (await api.post("/workflows/greeting/activate")).json()["version"] == 2
    ran = await api.post("/workflows/greeting/runs", params={"wait": 60})
    assert ran.json()["output"]["paid"] is True


async def test_a_plan_that_is_too_large_for_a_run_is_not_published(api: httpx.AsyncClient) -> None:
    trigger = {"type": "schedule", "cron": "@daily", "config": {"input": {"text": "x" * 500_000}}}
    large = make_greeting() | {"trigger": trigger, "variables": {"text": "x" * 400_000}}

    refused = await api.post("/workflows", json=large)

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "too_large")


async def test_too_many_callees_are_rejected(services: Services, customer: str) -> None:
    names = [f"w{number}" for number in range(201)]
    for name in names:
        await services.workflows.definitions.create(customer, name, make_greeting() | {"id": name}, "a test")
    nodes = [{"id": name, "type": "workflow", "config": {"workflow_id": name}} for name in names]
    edges = [{"source": one, "target": next_} for one, next_ in pairwise(["trigger", *names])]
    definition = {"id": "x", "name": "X", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}

    with pytest.raises(DefinitionInvalid, match="more than 200 workflows are called"):
        await services.plans.check(customer, definition)

    definition |= {"nodes": nodes[1:], "edges": [{"source": "trigger", "target": "w1"}, *edges[2:]]}
    assert (await services.plans.check(customer, definition)).plan is not None


async def test_callees_that_are_large_together_are_refused_unread(
    services: Services, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They were decoded on the event loop: 200 of 1 MB each take two seconds.
    names = [f"w{number}" for number in range(9)]
    for name in names:
        definition = make_greeting() | {"id": name, "description": "x" * 900_000}
        await services.workflows.definitions.create(customer, name, definition, "a test")
    nodes = [{"id": name, "type": "workflow", "config": {"workflow_id": name}} for name in names]
    edges = [{"source": one, "target": next_} for one, next_ in pairwise(["trigger", *names])]
    definition = {"id": "x", "name": "X", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}
    monkeypatch.delattr(Definitions, "load_callees")

    with pytest.raises(DefinitionInvalid, match="that are called have more than 8,000,000 bytes"):
        await services.plans.check(customer, definition)


async def test_a_rollback_keeps_a_paused_workflow_paused(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "event", "event": "e"})
    assert (await api.post("/workflows/w/activate")).status_code == 200
    await api.post("/workflows/w/pause")

    rolled = await api.post("/workflows/w/rollback", json={"version": 1})

    assert (rolled.json()["status"], rolled.json()["version"]) == ("paused", 2)
    runs = (await api.post("/events", json={"name": "e"})).json()["runs"]
    assert [run["state"] for run in runs] == ["paused"]
    await api.post("/workflows/w/archive")
    assert (await api.post("/workflows/w/rollback", json={"version": 1})).status_code == 409


async def test_definitions_that_call_each_other_are_checked_together(api: httpx.AsyncClient) -> None:
    call = {"c": {"type": "workflow", "config": {"workflow_id": "callee"}}}
    caller = make_definition(call, "trigger -> c") | {"id": "caller"}
    callee = make_definition(SET, "trigger -> a") | {"id": "callee"}
    broken = make_definition(SET, "trigger -> b") | {"id": "broken"}
    alone = (await api.post("/workflows/validate", json=caller)).json()
    together = (await api.post("/workflows/validate-all", json={"workflows": [caller, callee, broken]})).json()
    run = await api.post("/runs", json={"definition": caller, "callees": [callee]}, params={"wait": 60})

    assert alone["valid"] is False
    assert [each["valid"] for each in together["results"]] == [True, True, False]
    assert run.json()["status"] == "completed"
    assert (await api.get("/workflows")).json()["items"] == [], "nothing is saved"


async def test_validate_forecasts_the_history_of_a_run_for_given_sizes(api: httpx.AsyncClient) -> None:
    nodes = {"each": {"type": "loop", "collection": "{{ input.rows }}", "body": ["pause"]}}
    nodes |= {"pause": {"type": "delay", "delay_seconds": 1}}
    definition = make_definition(nodes, "trigger -> each") | {"id": "w"}
    sizes = {"items": {"each": 20}}
    without = (await api.post("/workflows/validate", json=definition)).json()
    alone = (await api.post("/workflows/validate", json=definition, params={"budget": json.dumps(sizes)})).json()
    request = {"workflows": [definition, {"id": "broken"}], "budget": sizes}
    good, broken = (await api.post("/workflows/validate-all", json=request)).json()["results"]
    refused = await api.post("/workflows/validate", json=definition, params={"budget": '{"items": 3}'})

    assert without["forecast"] is None
    assert alone["forecast"]["events"] == 5 + 20 * 5  # a timer is started and fires, with one workflow task
    assert good["forecast"] == alone["forecast"]
    assert broken["forecast"] is None
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["message"] == "items must be an object, not a number"


async def test_versions_are_compared_node_by_node(api: httpx.AsyncClient) -> None:
    first = make_definition({**SET, "b": {"type": "set", "config": {"y": 1}}}, "trigger -> a", "a -> b") | {"id": "w"}
    second = make_definition(
        {"c": {"type": "end"}, "a": {"type": "set", "config": {"x": [2]}}}, "trigger -> a", "a -> c"
    ) | {"id": "w"}
    await api.post("/workflows", json=first)
    await api.post("/workflows/w/activate")
    await api.put("/workflows/w", json=second)
    found = (await api.get("/workflows/w/diff")).json()
    same = (await api.get("/workflows/w/diff", params={"from_version": 1, "to_version": 1})).json()
    missing = await api.get("/workflows/w/diff", params={"from_version": 7})

    assert (found["from_version"], found["to_version"]) == (1, 0)
    changes = {(each["kind"], each["path"]) for each in found["changes"]}
    assert {
        ("changed", "/nodes/a/config/x"),
        ("removed", "/nodes/b"),
        ("added", "/nodes/c"),
    } <= changes
    assert {path.split("/")[1] for _, path in changes} == {"nodes", "edges"}
    assert (same["changes"], missing.status_code) == ([], 404)


@pytest.mark.parametrize("change", ["save", "activate", "pause", "archive", "rollback", "create"])
async def test_a_change_that_is_stored_succeeds_though_the_database_fails_next(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    # The response counts the runs of the workflow, after the commit: a 503 would say that nothing has changed.
    await store_workflow(api, make_greeting())
    await api.post("/workflows/greeting/activate")

    async def fail(*args: Any, **kwargs: Any) -> None:
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(services.workflows.index, "count_runs", fail)
        if change == "save":
            answer = await api.put("/workflows/greeting", json=make_greeting(name="New"))
        elif change == "create":
            answer = await api.post("/workflows", json=make_greeting(id="other"))
        else:
            body = {"version": 1} if change == "rollback" else None
            answer = await api.post(f"/workflows/greeting/{change}", json=body)
        read = await api.get("/workflows/greeting")

    assert (answer.status_code, answer.json()["run_count"]) == (201 if change == "create" else 200, 0)
    assert read.status_code == 503, "without a change the failure is reported"
