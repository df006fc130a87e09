"""Real processes are killed: runs continue, each effect happens once, nothing is lost."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.store.home import locate_payloads
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from tests.chaos.killed_processes import PATIENCE, Dev, Effects, start_dev

pytestmark = pytest.mark.chaos
DELAY_SECONDS = 20
"""The delay begins when the test is ready to see it; a busy machine takes a while to see it then."""
TEXT = "0123456789abcdef" * 16_384
"""Large enough to be stored outside of Temporal."""


def make_definition(url: str) -> dict[str, Any]:
    def post(name: str, **more: Any) -> dict[str, Any]:
        config = {"method": "POST", "url": f"{url}/{name}", "json": "{{ input }}", "timeout_seconds": 60}
        return {"id": name, "type": "action", "action": "http.request", "config": config, **more}

    nodes = [
        post("before", outputs=["body"]),
        post("slow", retry={"initial_interval": 0.2}),
        {"id": "sleep", "type": "delay", "delay_seconds": DELAY_SECONDS},
        {"id": "both", "type": "parallel", "branches": [["left"], ["right"]]},
        post("left"),
        post("right"),
        post("after"),
        {"id": "end", "type": "end", "config": {"output": {"first": "{{ body.done }}", "input": "{{ input }}"}}},
    ]
    row = ["trigger", "before", "slow", "sleep", "both", "after", "end"]
    edges = [{"source": a, "target": b} for a, b in pairwise(row)]
    return {"id": "chaos", "name": "Chaos", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


async def open_runs(dev: Dev, home: Path) -> Runs:
    settings = Settings(temporal_address=dev.temporal_address, payload_store=locate_payloads(home))
    return Runs(await connect(settings), settings)


async def wait_for_waiting(runs: Runs, run_id: str) -> Run:
    async with asyncio.timeout(PATIENCE):
        while True:
            run = await runs.reader.read_document(run_id)
            if run.waiting_for and run.waiting_for[0]["kind"] == "delay":
                return run
            await asyncio.sleep(0.1)


async def test_a_run_survives_when_every_process_is_killed(effects: Effects, devs: list[Dev], tmp_path: Path) -> None:
    """The worker dies during an action; then Temporal, worker and all die during the delay."""
    effects.slow_once.add("/slow")
    effects.held["/slow"] = asyncio.Event()
    home = tmp_path / "home"
    devs.append(await start_dev(home))
    runs = await open_runs(devs[-1], home)
    started = await runs.start(runs.prepare(check(make_definition(effects.url)).require(), input_data={"text": TEXT}))

    await effects.until("/slow")
    devs[-1].kill_worker()
    await devs[-1].process.wait()
    devs.append(await start_dev(home))
    runs = await open_runs(devs[-1], home)
    effects.held["/slow"].set()
    waiting = await wait_for_waiting(runs, started.id)
    devs[-1].kill_everything()
    await devs[-1].process.wait()
    devs.append(await start_dev(home))
    async with asyncio.timeout(PATIENCE):
        run = await (await open_runs(devs[-1], home)).reader.wait_for_result(started.id)

    assert run.status == "completed"
    assert run.output == {"first": "/before", "input": {"text": TEXT}}
    assert sorted(effects.done.values()) == ["/after", "/before", "/left", "/right", "/slow"]
    assert effects.asked.count("/slow") >= 2
    assert waiting.status == "waiting"
    steps = {step.id: step for step in run.steps}
    assert steps["slow"].retry_count >= 1
    assert steps["sleep"].output_data["slept_seconds"] == DELAY_SECONDS
    assert [step.status for step in run.steps] == ["completed"] * 8
