"""Which workflows call one, and which version of it they run."""

from itertools import pairwise
from typing import Any

import httpx
import pytest

from orchestrator.service.services import Services
from tests.temporal.world import make_definition

pytestmark = pytest.mark.temporal


def call(workflow_id: str, **config: Any) -> dict[str, Any]:
    return {"type": "workflow", "config": {"workflow_id": workflow_id, **config}}


async def publish(api: httpx.AsyncClient, workflow_id: str, nodes: dict[str, Any], text: str = "first") -> None:
    edges = [f"{one} -> {other}" for one, other in pairwise(["trigger", *nodes])]
    definition = make_definition(nodes, *edges) | {"id": workflow_id, "description": text}
    stored = await api.put(f"/workflows/{workflow_id}", json=definition)
    if stored.status_code == 404:
        stored = await api.post("/workflows", json=definition)
    assert stored.is_success, stored.text
    answer = await api.post(f"/workflows/{workflow_id}/activate")
    assert answer.is_success, answer.text


async def list_callers(api: httpx.AsyncClient, workflow_id: str) -> list[tuple[Any, ...]]:
    listed = (await api.get(f"/workflows/{workflow_id}/callers")).json()["callers"]
    return [tuple(each[key] for key in ("workflow_id", "version", "holds", "pinned", "outdated")) for each in listed]


async def test_callers_run_the_version_with_which_they_were_published(api: httpx.AsyncClient) -> None:
    end = {"done": {"type": "end"}}
    await publish(api, "price", end)
    await publish(api, "price_list", end)  # not a caller: its ID begins alike
    await publish(api, "order", {"ask": call("price")})
    await publish(api, "shop", {"order": call("order")})
    await publish(api, "strict", {"ask": call("price", version=1)})
    await publish(api, "gone", {"ask": call("price")})
    await api.post("/workflows/gone/archive")
    before = await list_callers(api, "price")
    await publish(api, "price", end, "second")
    outdated = await list_callers(api, "price")
    again = await api.post("/workflows/order/rollback", json={"version": 1})
    after = await list_callers(api, "price")
    versions = (await api.get("/workflows/order/versions")).json()["items"]
    single = (await api.get("/workflows/order/versions/1")).json()

    assert before == [
        ("order", 1, 1, False, False),
        ("shop", 1, 1, False, False),
        ("strict", 1, 1, True, False),
    ]
    assert [each[-1] for each in outdated] == [True, True, False]
    assert again.json()["version"] == 2
    assert after == [("order", 2, 2, False, False), ("shop", 1, 1, False, True), ("strict", 1, 1, True, False)]
    assert [version["calls"] for version in versions] == [
        [{"workflow_id": "price", "version": number, "pinned": False, "latest": False, "node_ids": ["ask"]}]
        for number in (2, 1)
    ]
    assert single["calls"] == versions[1]["calls"]
    assert await list_callers(api, "price_list") == []
    assert (await api.get("/workflows/nowhere/callers")).status_code == 404


def quote(text: str) -> dict[str, Any]:
    return {"done": {"type": "end", "config": {"output": text}}}


async def run(api: httpx.AsyncClient, workflow_id: str) -> dict[str, Any]:
    answer = await api.post(f"/workflows/{workflow_id}/runs", params={"wait": 60}, json={})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["status"] == "completed"
    return document


def read_quote(document: dict[str, Any]) -> Any:
    (step,) = [step for step in document["steps"] if step["node_id"] == "ask"]
    return step["output_data"]["output"]


async def test_a_run_takes_the_latest_version_when_it_starts(api: httpx.AsyncClient) -> None:
    await publish(api, "rate", quote("first"))
    await publish(api, "live", {"ask": call("rate", version="latest")})
    await publish(api, "kept", {"ask": call("rate")})
    first = await run(api, "live")
    await publish(api, "rate", quote("second"), "second")
    second, kept = await run(api, "live"), await run(api, "kept")
    again = (await api.post(f"/runs/{first['id']}/rerun", params={"wait": 60}, json={"from_node": "ask"})).json()
    (version,) = (await api.get("/workflows/live/versions")).json()["items"]

    assert [read_quote(document) for document in (first, second, kept)] == ["first", "second", "first"]
    assert [document["calls"] for document in (first, second, kept, again)] == [
        [{"node_id": "ask", "workflow_id": "rate", "version": number}] for number in (1, 2, 1, 1)
    ]
    assert version["calls"] == [
        {"workflow_id": "rate", "version": 1, "pinned": False, "latest": True, "node_ids": ["ask"]}
    ]


async def test_changes_of_a_workflow_answer_its_callers(api: httpx.AsyncClient) -> None:
    await publish(api, "tax", quote("first"))
    await publish(api, "bill", {"ask": call("tax")})
    await publish(api, "till", {"ask": call("tax", version="latest")})
    changed = await api.post("/workflows/tax/rollback", json={"version": 1})
    activated = await api.post("/workflows/tax/activate")
    archived = await api.post("/workflows/tax/archive")

    expected = [
        {"workflow_id": "bill", "version": 1, "holds": 1, "pinned": False, "latest": False, "outdated": True},
        {"workflow_id": "till", "version": 1, "holds": 1, "pinned": False, "latest": True, "outdated": False},
    ]
    assert [answer.json()["callers"] for answer in (changed, activated, archived)] == [expected] * 3


async def test_a_start_that_does_not_fit_the_latest_version_is_refused(api: httpx.AsyncClient) -> None:
    await publish(api, "fee", quote("first"))
    await publish(api, "desk", {"ask": call("fee", version="latest", input={"n": "x"})})
    definition = make_definition(quote("second"), "trigger -> done") | {
        "id": "fee",
        "settings": {"input_schema": {"type": "object", "properties": {"n": {"type": "number"}}}},
    }
    await api.put("/workflows/fee", json=definition)
    await api.post("/workflows/fee/activate")

    answer = await api.post("/workflows/desk/runs", json={})

    assert answer.status_code == 422
    assert [problem["code"] for problem in answer.json()["errors"]] == ["schema_mismatch"]


async def test_the_latest_version_runs_with_what_it_was_published_with(api: httpx.AsyncClient) -> None:
    answer = {"done": {"type": "end", "config": {"output": "{{ steps.ask.output.output }}"}}}
    await publish(api, "rule", quote("first"))
    await publish(api, "offer", {"ask": call("rule")} | answer)
    await publish(api, "front", {"ask": call("offer", version="latest")})
    before = await run(api, "front")
    await publish(api, "rule", quote("second"), "second")
    await publish(api, "offer", {"ask": call("rule")} | answer, "second")
    after, own = await run(api, "front"), await run(api, "offer")

    assert [read_quote(document) for document in (before, own, after)] == ["first", "second", "second"]


async def test_a_latest_version_calls_what_it_holds_and_its_caller_what_that_holds(api: httpx.AsyncClient) -> None:
    end = {"type": "end", "config": {"output": "{{ steps.ask.output.output }}"}}
    pass_on = {"ask": call("base"), "end": end}
    await publish(api, "base", quote("first"))
    await publish(api, "middle", pass_on)
    await publish(api, "top", {"own": call("base"), "ask": call("middle", version="latest")})
    first = await run(api, "top")
    await publish(api, "base", quote("second"), "second")
    unchanged = await run(api, "top")
    await publish(api, "middle", pass_on, "second")
    await publish(api, "base", quote("third"), "third")
    second = await run(api, "top")

    def read(document: dict[str, Any]) -> list[Any]:
        return [step["output_data"]["output"] for step in document["steps"]]

    assert [read(document) for document in (first, unchanged, second)] == [
        ["first", "first"],
        ["first", "first"],
        ["first", "second"],
    ]


async def test_latest_versions_that_hold_one_version_call_what_each_of_them_holds(api: httpx.AsyncClient) -> None:
    answer = {"end": {"type": "end", "config": {"output": "{{ steps.ask.output.output }}"}}}
    await publish(api, "vat", quote("first"))
    await publish(api, "sum", {"ask": call("vat")} | answer)
    await publish(api, "early", {"ask": call("sum")} | answer)
    await publish(api, "vat", quote("second"), "second")
    await publish(api, "late", {"ask": call("sum")} | answer)
    latest = {"one": call("early", version="latest"), "two": call("late", version="latest")}
    await publish(api, "both", {**latest, "own": call("sum", version=1)})
    await publish(api, "vat", quote("third"), "third")

    document = await run(api, "both")

    outputs = {step["node_id"]: step["output_data"]["output"] for step in document["steps"]}
    assert outputs == {"one": "first", "two": "second", "own": "second"}
    assert [each["version"] for each in document["calls"]] == [1, 1, 1]


async def test_what_latest_versions_hold_alike_is_planned_once(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await publish(api, "levy", quote("first"))
    for name in ("north", "south"):
        await publish(api, name, {"ask": call("levy")})
    nodes = {name: call(name, version="latest") for name in ("north", "south")}
    definition = make_definition(nodes, "trigger -> north", "north -> south") | {"id": "land"}

    plan = (await services.plans.check(customer, definition)).require()

    assert sorted(plan.workflows) == ["levy@1", "north@latest", "south@latest"]
