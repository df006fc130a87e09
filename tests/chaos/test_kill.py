"""Real processes are killed: runs continue, each effect happens once, nothing is lost."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs

pytestmark = pytest.mark.chaos
PATIENCE = 90.0
DELAY_SECONDS = 12


@dataclass
class Effects:
    """A server that applies each request once, by idempotency key, and may be slow."""

    url: str = ""
    done: dict[str, str] = field(default_factory=dict)
    """What was done, by idempotency key."""
    asked: list[str] = field(default_factory=list)
    slow_once: set[str] = field(default_factory=set)
    """Paths whose first request is never answered: its client is killed meanwhile."""
    arrived: dict[str, asyncio.Event] = field(default_factory=dict)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append(path)
            self.done.setdefault(headers["idempotency-key"], path)
            self.arrived.setdefault(path, asyncio.Event()).set()
            if path in self.slow_once:
                self.slow_once.remove(path)
                await asyncio.Event().wait()
            body = json.dumps({"done": path}).encode()
            head_line = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{head_line}connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has been killed
        finally:
            writer.close()
            self.serving.discard(task)

    async def until(self, path: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.arrived.setdefault(path, asyncio.Event()).wait()


@pytest.fixture
async def effects() -> AsyncIterator[Effects]:
    made = Effects()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    for task in list(made.serving):
        task.cancel()
    await asyncio.gather(*made.serving, return_exceptions=True)


@dataclass
class Dev:
    """`orchestrator dev` as a process of its own."""

    process: asyncio.subprocess.Process
    temporal_address: str
    temporal_pid: int

    def kill_worker(self) -> None:
        """Kill the process that serves runs and actions; Temporal stays."""
        self.process.kill()

    def kill_everything(self) -> None:
        self.process.kill()
        os.kill(self.temporal_pid, signal.SIGKILL)


async def start_dev(home: Path) -> Dev:
    ready = home.parent / f"ready-{uuid4()}.json"
    environment = {**os.environ, "ORCHESTRATOR_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8", "ORCHESTRATOR_LOG_LEVEL": "error"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.cli", "dev", "--home", str(home), "--port", "0",
        "--temporal-port", "0", "--ui-port", "0", "--ready-file", str(ready), env=environment,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        while not ready.exists():
            assert process.returncode is None, f"dev ended with {process.returncode}"
            await asyncio.sleep(0.05)
    said = json.loads(ready.read_text())
    return Dev(process, said["temporal_address"], said["pids"]["temporal"])


@pytest.fixture
async def devs() -> AsyncIterator[list[Dev]]:
    """End what a failing test leaves running."""
    started: list[Dev] = []
    yield started
    for dev in started:
        if dev.process.returncode is None:
            dev.process.terminate()
        async with asyncio.timeout(PATIENCE):
            await dev.process.wait()


def make_definition(url: str) -> dict[str, Any]:
    def post(name: str, **more: Any) -> dict[str, Any]:
        config = {"method": "POST", "url": f"{url}/{name}", "json": {"n": "{{ input.n }}"}, "timeout_seconds": 60}
        return {"id": name, "type": "action", "action": "http.request", "config": config, **more}

    nodes = [
        post("before", outputs=["body"]),
        post("slow", retry={"initial_interval": 0.2}),
        {"id": "sleep", "type": "delay", "delay_seconds": DELAY_SECONDS},
        {"id": "both", "type": "parallel", "branches": [["left"], ["right"]]},
        post("left"),
        post("right"),
        post("after"),
        {"id": "end", "type": "end", "config": {"output": {"first": "{{ body.done }}", "n": "{{ input.n }}"}}},
    ]
    row = ["trigger", "before", "slow", "sleep", "both", "after", "end"]
    edges = [{"source": a, "target": b} for a, b in pairwise(row)]
    return {"id": "chaos", "name": "Chaos", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


async def open_runs(dev: Dev) -> Runs:
    settings = Settings(temporal_address=dev.temporal_address)
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
    home = tmp_path / "home"
    devs.append(await start_dev(home))
    runs = await open_runs(devs[-1])
    started = await runs.start(runs.prepare(check(make_definition(effects.url)).require(), input_data={"n": 7}))

    await effects.until("/slow")
    devs[-1].kill_worker()
    await devs[-1].process.wait()
    devs.append(await start_dev(home))
    waiting = await wait_for_waiting(await open_runs(devs[-1]), started.id)
    devs[-1].kill_everything()
    await devs[-1].process.wait()
    devs.append(await start_dev(home))
    async with asyncio.timeout(PATIENCE):
        run = await (await open_runs(devs[-1])).reader.wait_for_result(started.id)

    assert run.status == "completed"
    assert run.output == {"first": "/before", "n": 7}
    assert sorted(effects.done.values()) == ["/after", "/before", "/left", "/right", "/slow"]
    assert effects.asked.count("/slow") >= 2
    assert waiting.status == "waiting"
    steps = {step.id: step for step in run.steps}
    assert steps["slow"].retry_count >= 1
    assert steps["sleep"].output_data["slept_seconds"] == DELAY_SECONDS
    assert [step.status for step in run.steps] == ["completed"] * 8
