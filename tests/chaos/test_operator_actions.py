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
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
RUNS = 5
ACTIONS = 8
PATIENCE = 240.0
ITEMS = 3
REPAIRS = ({"kind": "set_variables", "variables": {"x": 1}}, {"kind": "skip_wait", "node_id": "hear"})
VERBS = ("pause", "resume", "events/go", "interventions", "bulk pause", "bulk resume", "cancel")
WEIGHTS = (8, 8, 4, 6, 2, 2, 1)


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
    row = ["trigger", "first", "each", "both", "last"]
    edges = [{"source": a, "target": b} for a, b in pairwise(row)]
    return {"id": "operated", "name": "Operated", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


def list_effects(number: int) -> set[str]:
    """Return what a run does."""
    parts = [f"part-{index}" for index in range(ITEMS)]
    return {f"/{number}-{name}" for name in ("first", *parts, "left", "last")}


async def operate(api: httpx.AsyncClient, run_id: str, chance: random.Random, done: Counter[str]) -> None:
    """Do something to a run again and again; the API is gone after a while."""
    for _ in range(ACTIONS):
        (verb,) = chance.choices(VERBS, WEIGHTS)
        with contextlib.suppress(httpx.HTTPError):
            if verb.startswith("bulk "):
                body = {"operation": verb.removeprefix("bulk "), "filter": {"ids": [run_id]}}
                answer = await api.post("/bulk", json=body)
            else:
                body = chance.choice(REPAIRS) if verb == "interventions" else None
                answer = await api.post(f"/runs/{run_id}/{verb}", json=body)
            done[f"{verb}: {answer.status_code}"] += 1
        await asyncio.sleep(chance.random() * 0.4)


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
        answers = [await api.post("/runs", json={"definition": definition, "input": {"n": n}}) for n in range(RUNS)]
        ids = [str(answer.json()["id"]) for answer in answers]
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
        ended = await asyncio.gather(*(finish(api, run_id) for run_id in ids))
    settings = Settings(temporal_address=devs[-1].temporal_address)
    runs = Runs(await connect(settings), settings)
    differences = [await replay(run_id, await runs.reader.export_history(run_id)) for run_id in ids]
    print(f"round {number}: {kill.__name__}, {dict(done)}, {Counter(run['status'] for run in ended)}")

    assert {run["status"] for run in ended} <= {"completed", "cancelled"}
    assert differences == [None] * RUNS
    assert max(Counter(effects.done.values()).values(), default=1) == 1, "each effect has one idempotency key"
    for index, run in enumerate(ended):
        if run["status"] == "completed":
            assert list_effects(index) <= set(effects.done.values())
