"""Judging a working copy by real runs over HTTP, and activation that depends on it."""

import asyncio
from typing import Any

import httpx
import pytest

from orchestrator.service.regressions import choose_by_path, summarize
from tests.temporal.answers import Script
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal


def make_flow(limit: int, message: str = "order {{ input.total }} at {{ now() }}") -> dict[str, Any]:
    condition = {"field": "input.total", "operator": "greater_than", "value": limit}
    nodes = {
        "big": {"type": "condition", "condition": condition},
        "pause": {"type": "delay", "delay_seconds": 0.01},
        "note": {"type": "action", "action": "log.message", "config": {"message": message}},
        "done": {"type": "end", "config": {"output": {"run": "{{ run.id }}", "noted": True}}},
    }
    return make_definition(nodes, "trigger -> big", "big -true-> pause", "pause -> note", "note -> done") | {"id": "w"}


@pytest.fixture
def script(world: World, customer: str) -> Script:
    """The calls of the customer's actions."""
    world.scripts.by_customer[customer] = Script({})
    return world.scripts.by_customer[customer]


async def start_runs(api: httpx.AsyncClient, *totals: int) -> list[str]:
    async def start(total: int) -> str:
        answer = await api.post("/workflows/w/runs", json={"input": {"total": total}}, params={"wait": 60})
        assert answer.json()["status"] == "completed"
        return str(answer.json()["id"])

    ids = await asyncio.gather(*map(start, totals))

    async def list_ended() -> list[Any] | None:
        items = (await api.get("/runs", params={"workflow_id": "w", "status": "completed"})).json()["items"]
        return items if len(items) == len(totals) else None

    await wait_until(list_ended)
    return ids


async def regress(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post("/workflows/w/regress", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_working_copy_is_judged_by_the_runs_of_earlier_versions(api: httpx.AsyncClient, script: Script) -> None:
    await api.post("/workflows", json=make_flow(5))
    assert (await api.post("/workflows/w/activate")).status_code == 200
    small, middle, large = await start_runs(api, 1, 7, 9)
    same = await regress(api, last=10)
    renamed = {**make_flow(5), "name": "Renamed"}
    await api.put("/workflows/w", json=renamed)
    still_same = await regress(api)
    await api.put("/workflows/w", json=make_flow(8))
    moved = await regress(api)
    refused = await api.post("/workflows/w/activate", params={"regress": 10})
    before = (await api.get("/workflows/w")).json()
    warned = await api.post("/workflows/w/activate", params={"regress": 10, "on_difference": "warn"})
    published = await regress(api, version=2)

    assert (same["runs"], same["same"], same["summary"]) == (3, 3, "0 of 3 runs differ, 3 are the same")
    assert still_same["same"] == 3
    (group,) = moved["groups"]
    assert (moved["different"], moved["not_judged"]) == (1, 0)
    assert (group["outcome"], group["node_id"], group["examples"]) == ("other_path", "big", [middle])
    assert [group[which]["compared"][0]["value"] for which in ("before", "after")] == [5, 8]
    assert {each["run_id"]: each["outcome"] for each in moved["verdicts"]} == {
        small: "same",
        middle: "other_path",
        large: "same",
    }
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "regression")
    assert refused.json()["errors"][0]["message"] == "1 of 3 runs: `true` became `false`"
    assert (before["version"], before["edited"]) == (1, True)
    assert (warned.status_code, warned.json()["version"]) == (200, 2)
    assert [(each["code"], each["path"]) for each in warned.json()["warnings"]] == [("regression", "/nodes/0")]
    assert published["different"] == 1
    assert len(script.calls) == 2, "one in each of two runs, and none in the judgements"


async def test_runs_of_a_working_copy_are_judged_by_the_plan_in_their_history(
    api: httpx.AsyncClient, script: Script
) -> None:
    await api.post("/workflows", json=make_flow(5))
    (run_id,) = await start_runs(api, 7)
    await api.put("/workflows/w", json=make_flow(5, "another text"))
    report = await regress(api)

    assert [(group["outcome"], group["changed"]) for group in report["groups"]] == [
        ("other_call", ["/parameters/message"]),
    ]
    assert report["groups"][0]["examples"] == [run_id]


async def test_a_run_is_judged_by_the_latest_version_of_the_workflow_that_it_called(api: httpx.AsyncClient) -> None:
    def make_rate(value: Any) -> dict[str, Any]:
        nodes = {"done": {"type": "end", "config": {"output": {"rate": value}}}}
        return make_definition(nodes, "trigger -> done") | {"id": "rate"}

    def make_caller(limit: int) -> dict[str, Any]:
        condition = {"field": "steps.ask.output.output.rate", "operator": "greater_than", "value": limit}
        nodes = {
            "ask": {"type": "workflow", "config": {"workflow_id": "rate", "version": "latest"}},
            "high": {"type": "condition", "condition": condition},
            "nap": {"type": "delay", "delay_seconds": 0.01},
        }
        return make_definition(nodes, "trigger -> ask", "ask -> high", "high -true-> nap") | {"id": "w"}

    await api.post("/workflows", json=make_rate(5))
    await api.post("/workflows/rate/activate")
    await api.post("/workflows", json=make_caller(3))
    await api.post("/workflows/w/activate")
    (run_id,) = await start_runs(api, 1)
    await api.put("/workflows/rate", json=make_rate(1))
    await api.post("/workflows/rate/activate")
    same = await regress(api)
    await api.put("/workflows/w", json=make_caller(7))
    other = await regress(api)

    assert (same["same"], same["not_judged"]) == (1, 0), same
    assert [(group["outcome"], group["node_id"], group["examples"]) for group in other["groups"]] == [
        ("other_path", "high", [run_id])
    ]


async def test_a_workflow_without_runs_has_nothing_to_be_judged_by(api: httpx.AsyncClient) -> None:
    await api.post("/workflows", json=make_flow(5))

    assert (await regress(api))["summary"] == "no run to judge by"
    assert (await api.post("/workflows/nowhere/regress", json={})).status_code == 404
    assert (await api.post("/workflows/w/regress", json={"version": 9})).status_code == 404


def test_rare_paths_are_among_the_runs_that_are_chosen() -> None:
    paths = [[f"often-{number}" for number in range(90)], ["rare-0", "rare-1"], ["once"]]

    assert choose_by_path(paths, 5) == ["often-0", "rare-0", "once", "often-1", "rare-1"]
    assert len(choose_by_path(paths, 500)) == 93


def test_many_runs_that_are_not_judged_are_told_first() -> None:
    assert summarize(10, 7, 1, 2) == "1 of 10 runs differ, 7 are the same, 2 not judged"
    assert summarize(10, 6, 1, 3) == "3 of 10 runs are not judged; 1 of 10 runs differ, 6 are the same"
