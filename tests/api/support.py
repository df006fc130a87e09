"""Serving the API, and helpers to create workflows and follow runs."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from activities import load_builtin_registry
from api.app import PREFIX
from api.serve import bind, serve_http
from orchestrator.service.services import Services, run_services
from orchestrator.temporal.client.runs import Runs
from tests.temporal.world import World, extend_time_limits, make_definition, wait_until

SET = {"a": {"type": "set", "config": {"x": 1}}}
APPROVAL_KEY = "a key of the tests"
SIGNATURE, TIMESTAMP = "X-Orchestrator-Signature", "X-Orchestrator-Timestamp"
WAIT = {"type": "wait", "config": {"event": "go"}}
EVERY_HOUR = {"type": "schedule", "interval_seconds": 3600, "config": {"input": {"from": "schedule"}}}
CLIENT_SECONDS = 120.0
"""How long clients of the tests wait for an answer; the requests that wait for a run do so for a minute at most."""
DEADLINES: dict[str, Any] = {
    "orchestrator.temporal.bulk.HEARTBEAT_TIMEOUT": timedelta(seconds=90),
    "orchestrator.temporal.bulk.SHUTDOWN_SECONDS": 90.0,
    "orchestrator.service.approvals.CONFIRM_SECONDS": 90.0,
    "orchestrator.service.events.RESPONSE_SECONDS": 90.0,
    "orchestrator.service.index_writer.FLUSH_SECONDS": 90.0,
    "orchestrator.service.process_pool.WALL_SECONDS": 300.0,
    "orchestrator.service.process_pool.WAIT_SECONDS": 300.0,
    "orchestrator.service.webhooks.handler.TIMEOUT_SECONDS": 90.0,
    # Schedules are compared when a service starts, and not again: one that was activated since the list was read is
    # installed once more, and meanwhile shown as pending.
    "orchestrator.service.reconciler.COMPARE_EVERY": timedelta(days=1),
}
"""Times of the service that are meant for production, and that fail tests on a busy machine without any fault."""


@pytest.fixture(autouse=True)
def extended_deadlines() -> Iterator[None]:
    """Let the service wait for workers, processes and the database as long as a test does, where this is imported."""
    with extend_time_limits(), pytest.MonkeyPatch.context() as patch:
        for name, value in DEADLINES.items():
            patch.setattr(name, value)
        yield


async def create_workflow(api: httpx.AsyncClient, name: str, trigger: dict[str, Any], **more: Any) -> None:
    definition = make_definition(SET, "trigger -> a") | more | {"id": name, "trigger": trigger}
    answer = await api.post("/workflows", json=definition)
    assert answer.status_code == 201, answer.text


async def start_run(
    api: httpx.AsyncClient, nodes: dict[str, Any], *edges: str, run_input: Any = None, **more: Any
) -> str:
    body = {"definition": make_definition(nodes, *edges, **more), "input": run_input}
    answer = await api.post("/runs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def wait_for_status(api: httpx.AsyncClient, run_id: str, *statuses: str) -> dict[str, Any]:
    async def find_run() -> dict[str, Any] | None:
        run = (await api.get(f"/runs/{run_id}")).json()
        return run if run["status"] in statuses else None

    found: dict[str, Any] = await wait_until(find_run)
    return found


async def create_active_workflow(api: httpx.AsyncClient, name: str, trigger: dict[str, Any], **more: Any) -> None:
    definition = (
        make_definition({"keep": {"type": "set", "config": {"seen": "{{ trigger }}"}}}, "trigger -> keep") | more
    )
    answer = await api.post("/workflows", json=definition | {"id": name, "trigger": trigger})
    assert answer.status_code == 201, answer.text
    answer = await api.post(f"/workflows/{name}/activate")
    assert answer.status_code == 200, answer.text


async def wait_for_end(api: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    async def find_run() -> dict[str, Any] | None:
        answer = await api.get(f"/runs/{run_id}")
        return answer.json() if answer.status_code == 200 and answer.json()["completed_at"] else None

    found: dict[str, Any] = await wait_until(find_run)
    return found


def make_hook(path: str, **config: Any) -> dict[str, Any]:
    return {"type": "webhook", "webhook_path": path, "config": config}


def sign(secret: str, body: bytes, moment: int | None = None) -> str:
    message = body if moment is None else f"{moment}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


@asynccontextmanager
async def serve_api(world: World, home: Path, **more: Any) -> AsyncIterator[tuple[Services, str]]:
    """Serve from a folder; yields the services and the address."""
    settings = world.runs.settings.model_copy(
        update={
            "home": home,
            "api_port": 0,
            "rate_limit": "10000/second",
            "approval_secret": SecretStr(APPROVAL_KEY),
            **more,
        }
    )
    async with (
        run_services(settings, Runs(world.client, settings), load_builtin_registry()) as services,
        serve_http(services, bind(settings.api_host, settings.api_port)) as address,
    ):
        yield services, address


@dataclass
class Locked:
    """A separate service that requires keys."""

    services: Services
    address: str
    clients: AsyncExitStack

    async def client(self, customer: str, *scopes: str, name: str = "a key", **more: Any) -> httpx.AsyncClient:
        _, key = await self.services.keys.create(customer, name, scopes or ("read", "run", "edit"), **more)
        headers = {"authorization": f"Bearer {key}"}
        client = httpx.AsyncClient(base_url=f"{self.address}{PREFIX}", headers=headers, timeout=CLIENT_SECONDS)
        return await self.clients.enter_async_context(client)
