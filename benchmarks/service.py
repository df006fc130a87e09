"""The service beside the bare Temporal client: starts, events, lists. In turn on one machine, over loopback.

The API is a process of its own, as in production. No worker: what starts stays in the queue.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from benchmarks.cases import workflow_of
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunSummary
from orchestrator.settings import Settings
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.run_index import RunIndex
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server

CUSTOMER = "bench"
PREFIX = "/api/v1"
SERVES = "API serves at "
IN_FLIGHT = 50
MANY = 1_000
LISTED = 10_000


@dataclass(frozen=True)
class Place:
    """What is measured, and beside what."""

    api: httpx.AsyncClient
    line: HTTPConnection
    """A client that costs next to nothing, for what is timed one at a time."""
    runs: Runs
    plan: Plan
    database: Database

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and read the answer; the API is another process, so nobody waits for this one."""
        sent = None if body is None else json.dumps(body).encode()
        self.line.request(method, f"{PREFIX}{path}", sent, {"content-type": "application/json"})
        answer = self.line.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)


async def measure_service(quick: bool) -> dict[str, Any]:
    """Measure on a server, a database and an API of its own."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        async with run_dev_server(home / "temporal") as server:
            settings = Settings(home=home, temporal_address=server.address, task_queue="bench")
            runs = Runs(await connect(settings), settings)
            async with (
                _api(settings) as address,
                httpx.AsyncClient(base_url=f"{address}{PREFIX}", params={"customer_id": CUSTOMER}, timeout=120) as api,
            ):
                database = create_database(get_database_url(settings))
                place = Place(api, HTTPConnection(urlsplit(address).netloc), runs, await _kept(api, database), database)
                try:
                    return await _measured(place, 100 if quick else 500)
                finally:
                    place.line.close()
                    await database.aclose()


@asynccontextmanager
async def _api(settings: Settings) -> AsyncIterator[str]:
    """Serve the API in a process of its own; gives its address."""
    environment = {
        **os.environ,
        "ORCHESTRATOR_HOME": str(settings.home),
        "ORCHESTRATOR_TEMPORAL_ADDRESS": settings.temporal_address,
        "ORCHESTRATOR_TASK_QUEUE": settings.task_queue,
        "ORCHESTRATOR_API_PORT": "0",
        "ORCHESTRATOR_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.cli", "api", stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        assert line.startswith(SERVES), line
        yield line.removeprefix(SERVES).strip()
    finally:
        process.terminate()
        await process.wait()


async def _kept(api: httpx.AsyncClient, database: Database) -> Plan:
    """Keep and publish what is started; gives its plan."""
    made = workflow_of([{"id": "a", "type": "set", "config": {"x": 1}}], [{"source": "trigger", "target": "a"}])
    (await api.post("/workflows", json=made | {"id": "w"})).raise_for_status()
    (await api.post("/workflows/w/activate")).raise_for_status()
    return Plan.model_validate((await Definitions(database).get_version(CUSTOMER, "w", 1)).plan)


async def _measured(place: Place, count: int) -> dict[str, Any]:
    bare, told = await _in_flight(place)
    return {**await _starts(place, count), **told, **await _events(place, bare), **await _lists(place)}


async def _starts(place: Place, count: int) -> dict[str, Any]:
    """Start one at a time, over HTTP and by the bare client in turn."""

    async def over_http() -> None:
        place.ask("POST", f"/workflows/w/runs?customer_id={CUSTOMER}", {"input": {"n": 1}})

    async def bare() -> None:
        await place.runs.start(place.runs.prepare(place.plan, input_data={"n": 1}))

    place.line.close()  # the server closes what is silent for some seconds
    for _ in range(20):
        await over_http()
        await bare()
    times: dict[str, list[float]] = {"http": [], "bare": []}
    for _ in range(count):
        times["http"].append(await timed(over_http))
        times["bare"].append(await timed(bare))
    found: dict[str, Any] = {}
    for name, part in (("p50", 49), ("p99", 98)):
        http, client = (statistics.quantiles(times[way], n=100)[part] * 1000 for way in ("http", "bare"))
        found[f"start {name}"] = f"{http:.2f} ms over HTTP, {client:.2f} ms bare, ratio {http / client:.2f}"
    return found


async def _in_flight(place: Place) -> tuple[float, dict[str, Any]]:
    """Start many with some in flight; none may be lost. Gives the bare client's rate, too."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    ids = [f"bench-{uuid4()}" for _ in range(MANY)]

    async def over_http(_: str) -> str:
        async with slots:
            answer = await place.api.post("/workflows/w/runs", json={})
            answer.raise_for_status()
            return str(answer.json()["id"])

    async def bare(run_id: str) -> str:
        async with slots:
            return (await place.runs.start(place.runs.prepare(place.plan, run_id=run_id))).id

    began = time.perf_counter()
    started = await asyncio.gather(*map(over_http, ids))
    http = MANY / (time.perf_counter() - began)
    began = time.perf_counter()
    await asyncio.gather(*map(bare, ids))
    client = MANY / (time.perf_counter() - began)
    there = [await place.runs.visibility.read_summary(run_id) for run_id in started]
    lost = MANY - len({run.id for run in there})
    told = f"{http:,.0f}/s over HTTP, {client:,.0f}/s bare, {lost} lost"
    return client, {f"{MANY:,} starts, {IN_FLIGHT} in flight": told}


async def _events(place: Place, bare: float) -> dict[str, Any]:
    """Send one event that a thousand workflows wait for."""
    definitions = Definitions(place.database)
    content = {"id": "", "name": "n", "trigger": {"type": "event", "event": "bench.sent"}}
    plan = place.plan.to_json()
    for number in range(MANY):
        name = f"s{number:04}"
        stored = await definitions.create(CUSTOMER, name, content | {"id": name}, "bench")
        await definitions.publish(stored, stored.definition, plan | {"id": name}, by="bench")
    began = time.perf_counter()
    answer = (await place.api.post("/events", json={"id": "e", "name": "bench.sent", "data": {"n": 1}})).json()
    while True:
        delivery = (await place.api.get(f"/deliveries/{answer['id']}")).json()
        if not any(start["state"] == "pending" for start in delivery["runs"]):
            break
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    refused = {start["reason"] for start in delivery["runs"] if start["reason"]}
    assert not refused, refused
    started = sum(start["state"] == "started" for start in delivery["runs"])
    told = f"{started:,} started in {took:.2f} s, {started / took:,.0f}/s beside {bare:,.0f}/s bare"
    return {f"event with {MANY:,} subscribers": told}


async def _lists(place: Place) -> dict[str, Any]:
    """List a page of many runs."""
    now = datetime.now(UTC)
    await RunIndex(place.database).put(
        RunSummary(
            id=f"listed-{number}", workflow_id="w", workflow_version=1, customer_id=CUSTOMER, status="completed",
            started_at=now - timedelta(seconds=number), completed_at=now, duration_ms=number,
        )
        for number in range(LISTED)
    )  # fmt: skip

    async def listed() -> None:
        asked = f"/runs?customer_id={CUSTOMER}&limit=50&workflow_id=w&status=completed"
        assert len(place.ask("GET", asked)["items"]) == 50

    place.line.close()
    await listed()
    times = [await timed(listed) for _ in range(50)]
    return {
        f"50 of {LISTED:,} runs listed": f"{statistics.median(times) * 1000:.1f} ms, at most {max(times) * 1000:.1f} ms"
    }


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """Give how long something takes, in seconds."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began
