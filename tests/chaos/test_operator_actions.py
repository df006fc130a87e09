"""People operate runs while processes are killed: every run can still be ended, does each thing once, and replays.

`make test-chaos` runs 200 rounds; CHAOS_ROUNDS sets their number.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.replay import replay
from tests.chaos.killed_processes import Dev, Effects, start_dev

pytestmark = pytest.mark.chaos
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
RUNS = 5
ACTIONS = 8
PATIENCE = 240.0
ITEMS = 3
REPAIRS = ({"kind": "set_variables", "variables": {"x": 1}}, {"kind": "skip_wait", "node_id": "hear"})
RESOLUTIONS = ({"action": "skip"}, {"action": "fallback", "value": 7}, {"action": "retry"})
VERBS = {
    "pause": 8,
    "resume": 8,
    "events/go": 4,
    "interventions": 6,
    "resolve": 8,
    "bulk pause": 2,
    "bulk resume": 2,
    "cancel": 2,
    "terminate": 1,
    "rerun": 5,
}
"""What is done to runs, and how often in comparison."""


def make_definition(url: str) -> dict[str, Any]:
    def post(name: str, item: str = "") -> dict[str, Any]:
        config = {"method": "POST", "url": f"{url}/{{{{ input.n }}}}-{name}{item}", "timeout_seconds": 60}
        return {"id": name, "type": "action", "action": "http.request", "config": config}

    nodes = [
        post("first"),
        {"id": "each", "type": "loop", "collection": ITEMS, "body": ["part"]},
        post("part", "-{{ item }}"),
        {"id": "both", "type": "parallel", "branches": [["left"], ["hear"]]},
        post("left"),
        {"id": "hear", "type": "wait", "config": {"event": "go"}},
        post("last"),
    ]
    closed = {"url": "http://127.0.0.1:1/closed", "timeout_seconds": 60}
    closed_door = {"id": "door", "type": "action", "action": "http.request", "config": closed}
    nodes.append({**closed_door, "on_error": "pause", "retry": {"maximum_attempts": 1}})
    row = ["trigger", "first", "each", "both", "door", "last"]
    edges = [{"source": a, "target": b} for a, b in pairwise(row)]
    return {"id": "operated", "name": "Operated", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


def list_effects(number: int) -> set[str]:
    """Return what a run does."""
    parts = [f"part-{index}" for index in range(ITEMS)]
    return {f"/{number}-{name}" for name in ("first", *parts, "left", "last")}


async def operate(api: httpx.AsyncClient, run_id: str, chance: random.Random, done: Counter[str]) -> None:
    """Do something to a run, or to the rerun of it, again and again; the API is gone after a while."""
    for _ in range(ACTIONS):
        (verb,) = chance.choices(list(VERBS), list(VERBS.values()))
        with contextlib.suppress(httpx.HTTPError):
            answer = await act(api, run_id, verb, chance)
            done[f"{verb}: {answer.status_code}"] += 1
            if verb == "rerun" and answer.status_code == 202:
                run_id = str(answer.json()["id"])
        await asyncio.sleep(chance.random() * 0.4)


async def act(api: httpx.AsyncClient, run_id: str, verb: str, chance: random.Random) -> httpx.Response:
    body: dict[str, Any] | None = None
    match verb:
        case "bulk pause" | "bulk resume":
            body = {"operation": verb.removeprefix("bulk "), "filter": {"ids": [run_id]}}
            return await api.post("/bulk", json=body)
        case "interventions":
            body = dict(chance.choice(REPAIRS))
        case "resolve":
            body = {"node_id": "door", **chance.choice(RESOLUTIONS)}
    # Of two reruns of one run, each would do what the run has not done.
    return await api.post(f"/runs/{run_id}/{verb}", json=body, headers={"Idempotency-Key": f"{verb} {run_id}"})


async def finish(api: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """Bring a run to its end; return its document."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await api.get(f"/runs/{run_id}")
                if answer.status_code == 200 and answer.json()["completed_at"]:
                    return dict(answer.json())
                await api.post(f"/runs/{run_id}/resume")
                await api.post(f"/runs/{run_id}/events/go", headers={"Idempotency-Key": "finish"})
                await api.post(f"/runs/{run_id}/resolve", json={"node_id": "door", "action": "skip"})
            await asyncio.sleep(0.2)


async def finish_all(api: httpx.AsyncClient, run_id: str) -> list[dict[str, Any]]:
    """Bring a run and its reruns to their ends; return their documents."""
    ended, run_ids = [], [run_id]
    while run_ids:
        run = await finish(api, run_ids.pop())
        ended.append(run)
        run_ids += run["reruns"]
    return ended


async def post(api: httpx.AsyncClient, path: str, body: Any = None, *, key: str) -> dict[str, Any]:
    """Send a request until it is accepted: a process that has just started may be busy; it counts once."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await api.post(path, json=body, headers={"Idempotency-Key": key})
                if answer.status_code == 202:
                    return dict(answer.json() or {})
                assert answer.status_code >= 429, answer.text
            await asyncio.sleep(0.2)


def open_api(dev: Dev) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{dev.api}/api/v1", timeout=30)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_operated_runs_survive_a_kill_at_any_moment(
    effects: Effects, devs: list[Dev], tmp_path: Path, number: int
) -> None:
    chance = random.Random(number)
    done: Counter[str] = Counter()
    devs.append(await start_dev(tmp_path / "home"))
    async with open_api(devs[-1]) as api:
        definition = make_definition(effects.url)
        bodies = [{"definition": definition, "input": {"n": n}} for n in range(RUNS)]
        ids = [(await post(api, "/runs", body, key=f"start-{n}"))["id"] for n, body in enumerate(bodies)]
        operators = [asyncio.create_task(operate(api, run_id, chance, done)) for run_id in ids]
        kill_after = chance.randrange(RUNS * ACTIONS)
        while sum(done.values()) < kill_after and not all(each.done() for each in operators):
            await asyncio.sleep(0.01)
        kill = chance.choice([devs[-1].kill_worker, devs[-1].kill_everything])
        kill()
        await devs[-1].process.wait()
        await asyncio.gather(*operators)
    devs.append(await start_dev(tmp_path / "home"))
    async with open_api(devs[-1]) as api:
        chains = await asyncio.gather(*(finish_all(api, run_id) for run_id in ids))
    settings = Settings(temporal_address=devs[-1].temporal_address)
    runs = Runs(await connect(settings), settings)
    ended = [run for chain in chains for run in chain]
    differences = {run["id"]: await replay(run["id"], await runs.reader.export_history(run["id"])) for run in ended}
    print(f"round {number}: {kill.__name__}, {dict(done)}, {Counter(run['status'] for run in ended)}")

    assert {run["status"] for run in ended} <= {"completed", "cancelled"}
    assert {name: difference for name, difference in differences.items() if difference is not None} == {}
    assert max(Counter(effects.done.values()).values(), default=1) == 1, "each effect has one idempotency key"
    for index, chain in enumerate(chains):
        if "completed" in {run["status"] for run in chain}:
            assert list_effects(index) <= set(effects.done.values())


async def test_a_rerun_survives_a_kill_in_its_middle(effects: Effects, devs: list[Dev], tmp_path: Path) -> None:
    """What the cancelled run had done stays done, and the request that was under way keeps its key."""
    effects.slow_once |= {"/0-part-1", "/0-last"}
    devs.append(await start_dev(tmp_path / "home"))
    async with open_api(devs[-1]) as api:
        body = {"definition": make_definition(effects.url), "input": {"n": 0}}
        run_id = (await post(api, "/runs", body, key="start"))["id"]
        await effects.until("/0-part-1")
        await post(api, f"/runs/{run_id}/cancel", key="cancel")
        cancelled = await finish(api, run_id)
        rerun_id = (await post(api, f"/runs/{run_id}/rerun", key="rerun"))["id"]
        ending = asyncio.create_task(finish(api, rerun_id))
        await effects.until("/0-last")
        devs[-1].kill_worker()
        await devs[-1].process.wait()
        ending.cancel()
    devs.append(await start_dev(tmp_path / "home"))
    async with open_api(devs[-1]) as api:
        run = await finish(api, rerun_id)

    assert (cancelled["status"], run["status"]) == ("cancelled", "completed")
    assert sorted(effects.done.values()) == sorted(list_effects(0))
    assert [effects.asked.count(f"/0-{name}") for name in ("first", "part-0", "part-1", "part-2")] == [1, 1, 2, 1]
    assert [step["id"] for step in run["steps"] if step["reused"]] == ["first", "each[0]/part"]
