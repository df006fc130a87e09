"""Definition files and checks for tests of commands."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from tests.cli.shell import SECONDS, Dev, Done


def write_definition(folder: Path, name: str, /, **more: Any) -> Path:
    definition = {
        "id": name, "name": name.title(), "trigger": {"type": "manual"},
        "nodes": [{"id": "say", "type": "end", "config": {"output": {"to": "{{ input.to }}"}}}],
        "edges": [{"source": "trigger", "target": "say"}],
    } | more  # fmt: skip
    path = folder / f"{name}.json"
    path.write_text(json.dumps(definition))
    return path


def write_caller(folder: Path, name: str, other: str) -> Path:
    nodes = [{"id": "call", "type": "workflow", "config": {"workflow_id": other, "input": {"to": "you"}}}]
    return write_definition(folder, name, nodes=nodes, edges=[{"source": "trigger", "target": "call"}])


def require_success(done: Done) -> str:
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    return done.out.strip()


def write_greeting(folder: Path, **more: Any) -> Path:
    say = {"id": "say", "type": "end", "config": {"output": {"said": "Hello {{ input.name }}"}}}
    return write_nodes(folder, say, **more)


def write_listening(folder: Path) -> Path:
    done = {"id": "done", "type": "end", "config": {"output": "{{ steps.hear.output.payload }}"}}
    return write_nodes(folder, {"id": "hear", "type": "wait", "config": {"event": "go"}}, done, name="listening")


def write_failing(folder: Path, **more: Any) -> Path:
    call = {"id": "call", "type": "action", "action": "http.request", "config": {"url": "http://127.0.0.1:1/"}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output }}"}}
    return write_nodes(folder, {**call, "retry": {"maximum_attempts": 1}, **more}, end, name="failing")


def open_api(dev: Dev) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{dev.ready['api']}/api/v1", timeout=SECONDS)


async def wait_for_status(dev: Dev, run_id: str, status: str) -> dict[str, Any]:
    """Wait until a run has this status. Asks the API, which is faster than starting a command each time."""
    async with asyncio.timeout(SECONDS), open_api(dev) as api:
        while True:
            answer = await api.get(f"/runs/{run_id}")
            if answer.is_success and answer.json()["status"] == status:
                return dict(answer.json())
            await asyncio.sleep(0.05)


def write_nodes(folder: Path, *nodes: dict[str, Any], name: str = "flow", **more: Any) -> Path:
    path = folder / f"{name}.json"
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": ids[at], "target": ids[at + 1]} for at in range(len(nodes))]
    definition = {"id": name, "name": name, "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges, **more}
    path.write_text(json.dumps(definition))
    return path
