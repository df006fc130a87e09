"""The whole service as processes, as in production: PostgreSQL, Temporal, an API, two workers. Any may be killed."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.settings import Settings
from orchestrator.store.database import create_database, get_database_url
from orchestrator.store.triggers import STALE, Triggers
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.devserver import DevServer, run_dev_server
from orchestrator.temporal.schedules.schedules import Schedules
from tests.postgres import create_database_url, run_postgres
from tests.proxy import StartGate, run_proxy
from tests.store.pending_starts import count_pending_starts
from tests.temporal.world import make_definition, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.postgresql]
PATIENCE = 240.0
SUBSCRIBERS = 120
"""More than one batch of starts."""
STARTED_BEFORE_KILL = 10
"""Starts that reach Temporal before the API is killed; a few more may come in the same packet as the last of them."""
RUN_IDS = re.compile(rb"\bw\d+-[0-9a-z]{16}\b")


@dataclass
class Service:
    """The processes, by name, and how to reach them."""

    settings: Settings
    temporal: DevServer
    logs: Path
    environment: dict[str, str]
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    address: str = ""
    key: str = ""

    async def command(self, *args: str) -> str:
        """Run a command to its end and return its output."""
        process = await self._begin(*args, stdout=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, args
        return out.decode().strip()

    async def start(self, name: str, command: str, ready: str, **environment: str) -> str:
        """Start a process, wait for the line that says it is ready, and return the rest of that line."""
        log = self.logs / f"{name}-{len(list(self.logs.iterdir()))}.log"
        with log.open("wb") as file:
            process = self.running[name] = await self._begin(command, stdout=file, **environment)
        async with asyncio.timeout(PATIENCE):
            while True:
                assert process.returncode is None, f"{name} ended with {process.returncode}"
                for line in log.read_text().splitlines():
                    if line.startswith(ready):
                        return line.removeprefix(ready).strip()
                await asyncio.sleep(0.05)

    async def start_api(self, **environment: str) -> None:
        self.address = await self.start("api", "api", "API listens on", **environment)

    async def start_worker(self, name: str) -> None:
        await self.start(name, "worker", "worker polls")

    async def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        await process.wait()

    def client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=f"{self.address}/api/v1", headers=headers, timeout=PATIENCE)

    async def _begin(self, *args: str, stdout: Any, **environment: str) -> asyncio.subprocess.Process:
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment, **environment}
        line = [sys.executable, "-m", "orchestrator.cli", *args]
        return await asyncio.create_subprocess_exec(*line, stdout=stdout, env=variables)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    with run_postgres() as address:
        url = await create_database_url(address)
        async with run_dev_server(tmp_path / "temporal") as temporal:
            made = Service(
                Settings(temporal_address=temporal.address, database_url=url, home=tmp_path / "home"),
                temporal,
                tmp_path,
                {
                    "ORCHESTRATOR_TEMPORAL_ADDRESS": temporal.address,
                    "ORCHESTRATOR_DATABASE_URL": url,
                    "ORCHESTRATOR_HOME": str(tmp_path / "home"),
                    "ORCHESTRATOR_API_PORT": "0",
                    "ORCHESTRATOR_RATE_LIMIT": "100000/minute",
                    "ORCHESTRATOR_LOG_LEVEL": "error",
                },
            )
            await made.command("store", "migrate")
            made.key = await made.command("keys", "create", "tests", "--customer", "acme")
            try:
                await made.start_api()
                yield made
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(temporal.pid, signal.SIGCONT)
                for process in made.running.values():
                    process.terminate()
                for process in made.running.values():
                    await asyncio.wait_for(process.wait(), PATIENCE)


async def create_workflow(api: httpx.AsyncClient, name: str, trigger: dict[str, Any], **nodes: Any) -> None:
    made = make_definition(nodes or {"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    answer = await api.post("/workflows", json=made | {"id": name, "trigger": trigger})
    assert answer.status_code == 201, answer.text


async def test_runs_outlive_a_worker_and_the_api(service: Service) -> None:
    for name in ("worker 1", "worker 2"):
        await service.start_worker(name)
    async with service.client() as api:
        await create_workflow(api, "slow", {"type": "manual"}, a={"type": "delay", "delay_seconds": 2})
        assert (await api.post("/workflows/slow/activate")).status_code == 200
        ids = [
            (await api.post("/workflows/slow/runs", headers={"idempotency-key": f"{n}"})).json()["id"]
            for n in range(40)
        ]
    await service.kill("worker 1")
    await service.kill("api")
    await service.start_api()

    async with service.client() as api:

        async def are_completed() -> bool:
            listed = (await api.get("/runs", params={"status": "completed", "limit": 100})).json()["items"]
            return {run["id"] for run in listed} == set(ids)

        await wait_until(are_completed, PATIENCE)
        again = await api.post("/workflows/slow/runs", headers={"idempotency-key": "7"})
        assert again.json()["id"] == ids[7]
        stats = (await api.get("/workflows/slow/stats")).json()
        assert stats["by_status"] == {"completed": 40}


async def send_until_killed(service: Service) -> None:
    """Send an event to the API, and kill it as soon as it has started runs."""
    async with service.client() as api:
        sending = asyncio.create_task(api.post("/events", json={"id": "e1", "name": "order.paid"}))

        async def count_started() -> int:
            found = (await api.get("/runs", params={"trigger": "event", "limit": 500})).json()["items"]
            return len(found)

        await wait_until(count_started, PATIENCE)
        await service.kill("api")
        with contextlib.suppress(httpx.HTTPError):
            await sending


async def test_an_accepted_event_starts_all_its_runs_once_whatever_is_killed(service: Service) -> None:
    await service.start_worker("worker")
    async with service.client() as api:
        for number in range(SUBSCRIBERS):
            await create_workflow(api, f"w{number}", {"type": "event", "event": "order.paid"})
            assert (await api.post(f"/workflows/w{number}/activate")).status_code == 200
    await service.kill("api")
    # Without the gate, all runs may have started before a busy machine kills the API.
    async with run_proxy(StartGate(service.temporal.port, RUN_IDS, STARTED_BEFORE_KILL)) as gate:
        await service.start_api(ORCHESTRATOR_TEMPORAL_ADDRESS=f"127.0.0.1:{gate.port}")
        await send_until_killed(service)
        assert gate.seen, "starts came through the gate, and were known as such"
    database = create_database(get_database_url(service.settings))
    assert 0 < await count_pending_starts(database) <= SUBSCRIBERS, "it was killed in the middle"
    await database.aclose()
    await service.start_api()

    async with service.client() as api:
        again = await api.post("/events", json={"id": "e1", "name": "order.paid"})
        assert again.json()["outcome"] == "duplicate"
        wanted = {start["workflow_id"]: start["run_id"] for start in again.json()["runs"]}
        assert len(wanted) == SUBSCRIBERS

        async def are_completed() -> bool:
            listed = (await api.get("/runs", params={"status": "completed", "limit": 500})).json()["items"]
            return len(listed) >= SUBSCRIBERS

        await wait_until(are_completed, PATIENCE)
        listed = (await api.get("/runs", params={"limit": 500})).json()["items"]
        assert {run["workflow_id"]: run["id"] for run in listed} == wanted
        assert len(listed) == SUBSCRIBERS, "each workflow has started once"


async def test_a_schedule_is_installed_although_the_process_was_killed_between_the_two_writes(
    service: Service,
) -> None:
    async with service.client() as api:
        await create_workflow(api, "nightly", {"type": "schedule", "cron": "@daily"})
        os.kill(service.temporal.pid, signal.SIGSTOP)
        activating = asyncio.create_task(api.post("/workflows/nightly/activate"))
        database = create_database(get_database_url(service.settings))

        async def is_written() -> bool:
            row = await Triggers(database).get("acme", "nightly")
            return row is not None and row.applied == STALE

        await wait_until(is_written, PATIENCE)
        await service.kill("api")
        with contextlib.suppress(httpx.HTTPError):
            await activating
        os.kill(service.temporal.pid, signal.SIGCONT)
    schedules = Schedules(await connect(service.settings), service.settings)

    async def list_installed() -> list[str]:
        return [each.workflow_id async for each in schedules.list_installed()]

    await service.start_api()
    await wait_until(list_installed, PATIENCE)

    assert await list_installed() == ["nightly"]
    async with service.client() as api:

        async def is_installed() -> bool:
            return bool((await api.get("/workflows/nightly/schedule")).json()["installed"])

        await wait_until(is_installed, PATIENCE)
        assert (await api.get("/workflows/nightly")).json()["status"] == "active"
        assert (await api.delete("/workflows/nightly")).status_code == 204
    await database.aclose()
