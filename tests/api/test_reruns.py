"""Reruns: from where a run failed or from a named node, linked both ways."""

import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from tests.api.support import (
    WAIT,
    serve_api,
    start_run,
    wait_for_status,
)
from tests.temporal.world import World, make_definition, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal
HTTP = {"type": "action", "action": "http.request", "config": {"url": "http://service.example"}}
DOWN = {"error": {"message": "down", "recoverable": False}}
UP = {"output": {"status": 200}}


def put(**variables: Any) -> dict[str, Any]:
    return {"type": "set", "config": variables}


async def rerun(api: httpx.AsyncClient, run_id: str, **body: Any) -> dict[str, Any]:
    """Rerun a run and wait for its end."""
    answer = await api.post(f"/runs/{run_id}/rerun", params={"wait": 60}, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def list_node_ids(run: dict[str, Any], *, reused: bool = False) -> list[str]:
    """Return the nodes that the run has done itself, or those whose steps it has reused."""
    return [step["node_id"] for step in run["steps"] if step["reused"] == reused]


async def test_a_failed_run_is_rerun_from_where_it_failed(api: httpx.AsyncClient, world: World, customer: str) -> None:
    _, script = world.script({"http.request": [DOWN, UP]}, customer)
    nodes = {"before": put(x="{{ input.n }}"), "call": HTTP, "after": put(y="{{ x }}")}
    run_id = await start_run(api, nodes, "trigger -> before", "before -> call", "call -> after", run_input={"n": 7})
    await wait_for_status(api, run_id, "failed")

    ended = await rerun(api, run_id)

    assert (ended["status"], ended["rerun_of"]) == ("completed", run_id)
    assert ended["id"] != run_id
    assert list_node_ids(ended) == ["call", "after"], "what was done is not done again"
    assert list_node_ids(ended, reused=True) == ["before"]
    assert (ended["steps_completed"], ended["steps_total"]) == (3, 3)
    assert (ended["context"]["x"], ended["context"]["y"], ended["input_data"]) == (7, 7, {"n": 7})
    assert len(script.calls) == 2
    assert len({call["context"]["idempotency_key"] for call in script.calls}) == 2


async def test_a_run_and_its_reruns_link_to_each_other(
    api: httpx.AsyncClient, world: World, customer: str, tmp_path: Path
) -> None:
    world.script({"http.request": DOWN}, customer)
    run_id = await start_run(api, {"call": HTTP}, "trigger -> call")
    await wait_for_status(api, run_id, "failed")
    first = (await rerun(api, run_id))["id"]
    second = (await rerun(api, first))["id"]
    links = {run_id: None, first: run_id, second: first}

    async def are_linked() -> bool:
        found = [(await api.get(f"/runs/{each}")).json()["reruns"] for each in links]
        return found == [[first], [second], []]

    await wait_until(are_linked)
    async with serve_api(world, tmp_path) as (services, _):  # a new index learns it from Temporal

        async def is_indexed() -> bool:
            found = await services.operations.index.list_runs(customer)
            return {run.id: run.rerun_of for run in found} == links

        await wait_until(is_indexed)


async def test_a_rerun_from_a_node_starts_with_the_state_before_its_first_start(
    api: httpx.AsyncClient,
) -> None:
    nodes = {
        "a": put(x="a", n="{{ run.attempt }}"), "b": put(x="{{ x }}b", late="{{ steps[of].output.y }}"),
        "c": put(y="{{ x }}c"),
    }  # fmt: skip
    run_id = await start_run(api, nodes, "trigger -> a", "a -> b", "b -> c", variables={"of": "c"})
    await wait_for_status(api, run_id, "completed")

    again = await rerun(api, run_id, from_node="b")
    third = await rerun(api, again["id"], from_node="a")

    assert list_node_ids(again) == ["b", "c"]
    assert again["context"] == {"x": "ab", "n": 1, "late": None, "y": "abc", "of": "c"}
    assert list_node_ids(third) == ["a", "b", "c"]
    assert third["context"] == {"x": "ab", "n": 3, "late": None, "y": "abc", "of": "c"}
    nowhere = await api.post(f"/runs/{run_id}/rerun", json={"from_node": "x"})
    unnamed = await api.post(f"/runs/{run_id}/rerun")
    assert nowhere.status_code == unnamed.status_code == 409
    assert "a, b, c" in nowhere.json()["hint"]


async def test_other_pending_paths_are_resumed(api: httpx.AsyncClient, world: World, customer: str) -> None:
    world.script({"http.request": [DOWN, UP]}, customer)
    nodes = {"a": HTTP, "then": put(x=1), "other": put(y=1)}
    run_id = await start_run(api, nodes, "trigger -> a, other", "a -> then")
    failed = await wait_for_status(api, run_id, "failed")
    assert list_node_ids(failed) == ["a"]

    assert list_node_ids(await rerun(api, run_id)) == ["a", "then", "other"]


async def test_a_rerun_continues_a_cycle_and_a_loop(api: httpx.AsyncClient, world: World, customer: str) -> None:
    _, script = world.script({"http.request": [UP, UP, DOWN, UP]}, customer)
    enough = {"type": "condition", "condition": {"field": "log", "operator": "length_equals", "value": 3}}
    cycle = {"count": put(log="{{ log }}."), "poll": HTTP, "enough": enough}
    edges = "trigger -> count", "count -> poll", "poll -> enough", "enough -false-> count"
    run_id = await start_run(api, cycle, *edges)
    failed = await wait_for_status(api, run_id, "failed")
    assert failed["context"]["log"] == "..."

    done = await rerun(api, run_id)

    assert (done["status"], list_node_ids(done)[0]) == ("completed", "poll")
    assert done["context"]["log"] == "...", "what earlier passes have set is kept"
    _, script = world.script({"http.request": [UP, DOWN, UP]}, customer)
    loop = {"type": "loop", "collection": ["p", "q"], "body": ["mark", "call"], "item_variable": "item"}
    body = {"each": loop, "mark": put(marks="{{ marks }}{{ item }}"), "call": HTTP}
    looped = await start_run(api, body, "trigger -> each", "mark -> call", variables={"marks": "", "item": "outer"})
    await wait_for_status(api, looped, "failed")

    ended = await rerun(api, looped)

    assert ended["context"] == {"marks": "pq", "item": "outer"}, "what the first iteration has set is kept"
    assert len(script.calls) == 3, "the first iteration stays done"


INTEGER = {"input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
FIXED = {"a": put(x="{{ input.n }}"), "call": HTTP, "then": put(seen="{{ x }} {{ v }} {{ w }} {{ workflow.version }}")}


async def publish(api: httpx.AsyncClient, nodes: dict[str, Any], *edges: str, **more: Any) -> None:
    """Publish the next version of the workflow `w`."""
    definition = make_definition(nodes, "trigger -> a", "a -> call", *edges, **more) | {"id": "w"}
    stored = await api.put("/workflows/w", json=definition)
    if stored.status_code == 404:
        stored = await api.post("/workflows", json=definition)
    assert stored.is_success, stored.text
    assert (await api.post("/workflows/w/activate")).status_code == 200


@pytest.fixture
async def failed_run(api: httpx.AsyncClient, world: World, customer: str) -> str:
    """A failed run of version 1 of `w`, which version 2 fixes."""
    world.script({"http.request": [DOWN, UP]}, customer)
    await publish(api, {"a": FIXED["a"], "call": HTTP}, variables={"v": 1}, settings=INTEGER)
    run_id = str((await api.post("/workflows/w/runs", json={"input": {"n": 1}})).json()["id"])
    await wait_for_status(api, run_id, "failed")
    await publish(api, FIXED, "call -> then", variables={"v": 1, "w": "new"}, settings=INTEGER)
    return run_id


async def test_a_rerun_may_use_another_version(api: httpx.AsyncClient, failed_run: str) -> None:
    run = await rerun(api, failed_run, version=2)

    assert (run["workflow_version"], list_node_ids(run)) == (2, ["call", "then"])
    assert run["context"]["seen"] == "1 1 new 2"


async def test_a_rerun_may_use_another_input_and_other_variables(api: httpx.AsyncClient, failed_run: str) -> None:
    run = await rerun(api, failed_run, version=2, from_node="a", input={"n": 5}, variables={"v": 9})

    assert run["context"]["seen"] == "5 9 new 2"
    assert run["input_data"] == {"n": 5}


async def test_a_rerun_that_does_not_fit_is_rejected(api: httpx.AsyncClient, failed_run: str) -> None:
    stricter = {"input_schema": {"type": "object", "required": ["m"]}}
    await publish(api, FIXED, "call -> then", variables={"v": 1, "w": "new"}, settings=stricter)
    expected = [
        ({"input": {"n": "x"}}, 422, "/input/n"),
        ({"version": 3}, 422, "/input"),
        ({"version": 7}, 404, "no published version 7"),
        ({"variables": {"steps": 1}}, 409, "steps: reserved names cannot be set as variables"),
        ({"variables": {"": 1}}, 409, "empty text is not the name of a variable"),
        ({"path": "each[1]"}, 409, "it has none: leave out path"),
        ({"node_id": "a"}, 422, "node_id"),
    ]

    answers = [(await api.post(f"/runs/{failed_run}/rerun", json=body)) for body, *_ in expected]

    for answer, (_, status, text) in zip(answers, expected, strict=True):
        assert (answer.status_code, text in answer.text) == (status, True), answer.text


async def test_a_dry_run_lists_the_steps_and_starts_nothing(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    _, script = world.script({"http.request": DOWN}, customer)
    run_id = await start_run(api, {"a": put(x=1), "b": put(y=1), "call": HTTP}, "trigger -> a", "a -> b", "b -> call")
    await wait_for_status(api, run_id, "failed")

    async def dry_run(**body: Any) -> Any:
        answer = await api.post(f"/runs/{run_id}/rerun", json=body | {"dry_run": True})
        assert answer.status_code == 200, answer.text
        return answer.json()

    plan = await dry_run()
    assert (plan["from_node"], plan["version"], plan["reused"], plan["again"]) == ("call", 0, ["a", "b"], ["call"])
    assert plan["begins_at"] == ["call"]
    assert plan["nodes"][2] == {
        "name": "call", "reused": 0, "again": 1, "continued": 0, "kept_keys": 0, "undone": 0
    }  # fmt: skip
    earlier = await dry_run(from_node="b")
    assert (earlier["from_node"], earlier["reused"], earlier["again"]) == ("b", ["a"], ["b", "call"])
    assert len(script.calls) == 1
    assert (await api.get(f"/runs/{run_id}")).json()["reruns"] == []


async def test_a_rerun_with_the_same_key_starts_once(api: httpx.AsyncClient, world: World, customer: str) -> None:
    _, script = world.script({"http.request": [DOWN, UP]}, customer)
    run_id = await start_run(api, {"call": HTTP}, "trigger -> call")
    await wait_for_status(api, run_id, "failed")

    answers = [await api.post(f"/runs/{run_id}/rerun", headers={"idempotency-key": "once"}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", "true"]
    await wait_for_status(api, answers[0].json()["id"], "completed")
    assert len(script.calls) == 2


async def test_a_run_that_is_running_cannot_be_rerun(api: httpx.AsyncClient) -> None:
    going = await start_run(api, {"a": WAIT}, "trigger -> a")

    refused = await api.post(f"/runs/{going}/rerun")

    assert (refused.status_code, "has not ended" in refused.json()["detail"]) == (409, True)


async def test_a_run_that_was_undone_begins_at_the_first_step_that_was_undone(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    no = {"error": {"message": "no", "recoverable": False}}
    _, script = world.script({"email.send": [no, UP]}, customer)
    book = {**HTTP, "compensate": {"action": "http.request", "config": {"url": "http://a.example/undo"}}}
    mail = {"type": "action", "action": "email.send", "config": {"to": "a@example.org", "subject": "s", "text": "b"}}
    nodes = {"a": put(x=1), "book": book, "mail": mail}
    run_id = await start_run(api, nodes, "trigger -> a", "a -> book", "book -> mail")
    await wait_for_status(api, run_id, "failed")

    plan = (await api.post(f"/runs/{run_id}/rerun", json={"dry_run": True})).json()
    ended = await rerun(api, run_id)

    assert (plan["begins_at"], plan["reused"], plan["undone"]) == (["book"], ["a"], ["book"])
    assert (ended["status"], list_node_ids(ended)) == ("completed", ["book", "mail"])
    assert len(script.calls) == 5, "booked, mailed, undone, booked and mailed again"


@pytest.mark.slow
async def test_a_rerun_finds_the_start_of_a_node_after_continue_as_new(tmp_path: Path) -> None:
    config = ("limit.historyCount.suggestContinueAsNew=40",)
    async with run_dev_server(tmp_path / "short", dynamic_config=config) as server, open_world(server) as world:
        customer, _ = world.script()
        loop = {"type": "loop", "collection": 30, "body": ["work"]}
        nodes = {"a": put(x="a"), "b": put(x="{{ x }}b"), "l": loop, "work": "work", "c": put(y="{{ x }}")}
        plan = make_plan(nodes, "trigger -> a", "a -> b", "b -> l", "l -> c", customer=customer)
        run_id = await world.start(plan)
        await world.wait_for_end(run_id)
        executions = [one async for one in world.client.list_workflows(f"WorkflowId = '{run_id}'")]
        again = await _rerun_from(world.runs, run_id, "b")
        run = await world.wait_for_end(again)

    assert len(executions) > 1
    assert (run.context["x"], run.context["y"], run.rerun_of) == ("ab", "ab", run_id)


async def _rerun_from(runs: Runs, run_id: str, node_id: str) -> str:
    rerun = await runs.reader.reruns.plan("", run_id, Changes(Target(node_id)), f"{run_id}-again")
    return (await runs.start(runs.prepare_rerun(rerun))).id


async def test_a_run_with_more_data_than_a_message_holds_is_rerun(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """Its steps have 6 MB: the old run's record loses them before the rerun is refused."""
    _, script = world.script({"http.request": [DOWN, UP]}, customer)
    nodes = {
        "each": {"type": "loop", "collection": 6, "body": ["copy"]},
        "copy": put(text="{{ input.text }}{{ item }}"),
        "call": HTTP,
    }
    text = random.Random(1).randbytes(500_000).hex()
    run_id = await start_run(api, nodes, "trigger -> each", "each -> call", run_input={"text": text})
    await wait_for_status(api, run_id, "failed")

    ended = await rerun(api, run_id)

    assert (ended["status"], list_node_ids(ended)) == ("completed", ["call"])
    assert len(script.calls) == 2


async def test_a_step_of_an_iteration_in_a_child_workflow_is_run_again(
    api: httpx.AsyncClient, world: World, customer: str
) -> None:
    _, script = world.script({"http.request": UP}, customer)
    nodes = {
        "p": {"type": "parallel", "branches": [["each"], ["other"]], "config": {"mode": "child"}},
        "each": {"type": "loop", "collection": 2, "body": ["call"]},
        "call": HTTP,
        "then": HTTP,
        "other": HTTP,
    }
    run_id = await start_run(api, nodes, "trigger -> p", "call -> then")
    await wait_for_status(api, run_id, "completed")
    body = {"path": "p[0]/each[1]", "from_node": "then"}

    plan = (await api.post(f"/runs/{run_id}/rerun", json=body | {"dry_run": True})).json()
    ended = await rerun(api, run_id, **body)

    assert (plan["begins_at"], plan["again"]) == (["p[0]/each[1]/then"], ["p[0]/each[1]/then"])
    assert {"p", "p[0]/each"} == set(plan["continued"])
    assert {each["name"]: each["again"] for each in plan["iterations"]}["p[0]/each[1]"] == 1
    assert (ended["status"], list_node_ids(ended)) == ("completed", ["p", "each", "then"])
    assert sorted(list_node_ids(ended, reused=True)) == ["call", "call", "other", "then"]
    assert len(script.calls) == 5 + 1


async def test_only_failed_items_are_called_again(api: httpx.AsyncClient, world: World, customer: str) -> None:
    _, script = world.script({"http.request": [UP, DOWN, UP]}, customer)
    loop = {"type": "loop", "collection": 3, "body": ["call"], "config": {"on_item_error": "continue"}}
    run_id = await start_run(api, {"each": loop, "call": HTTP}, "trigger -> each")
    await wait_for_status(api, run_id, "completed")

    ended = await rerun(api, run_id, failed_items=True)

    assert [step["id"] for step in ended["steps"] if not step["reused"]] == ["each", "each[1]/call"]
    assert ended["steps"][0]["output_data"]["succeeded"] == 3
    assert len(script.calls) == 4


@pytest.mark.slow
async def test_a_run_whose_history_is_gone_is_not_rerun(api: httpx.AsyncClient, world: World, customer: str) -> None:
    """Temporal has deleted it, and the index and the archive still have it."""
    run_id = await start_run(api, {"a": put(x=1)}, "trigger -> a")
    await wait_for_status(api, run_id, "completed")

    async def is_listed() -> bool:
        return run_id in [run["id"] for run in (await api.get("/runs")).json()["items"]]

    await wait_until(is_listed)
    execution = WorkflowExecution(workflow_id=run_id)
    request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace, workflow_execution=execution)
    await world.client.workflow_service.delete_workflow_execution(request, retry=True)

    async def is_refused() -> bool:
        answer = await api.post(f"/runs/{run_id}/rerun", json={"from_node": "a", "dry_run": True})
        return (answer.status_code, answer.json().get("code")) == (410, "history_gone")

    await wait_until(is_refused)
