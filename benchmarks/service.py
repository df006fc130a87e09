"""The service compared with the bare Temporal client: starts, events, lists, over loopback.

The API runs in its own process, as in production. There is no worker: started runs stay in the queue.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from benchmarks.cases import build_workflow
from benchmarks.processes import run_command
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
SERVES = "API listens on "
IN_FLIGHT = 50


@dataclass(frozen=True)
class Bench:
    """The API to measure, and the client to compare it with."""

    api: httpx.AsyncClient
    line: HTTPConnection
    """A client with little overhead, for requests timed one at a time."""
    runs: Runs
    plan: Plan
    database: Database
    many: int
    """Number of starts, and of subscribers of an event."""
    listed: int

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and read the answer. Blocking is fine: the API is another process."""
        sent = None if body is None else json.dumps(body).encode()
        self.line.request(method, f"{PREFIX}{path}", sent, {"content-type": "application/json"})
        answer = self.line.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)


async def measure_service(quick: bool) -> dict[str, Any]:
    """Measure on a dedicated server, database and API."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        async with run_dev_server(home / "temporal") as server:
            settings = Settings(home=home, temporal_address=server.address, task_queue="bench")
            runs = Runs(await connect(settings), settings)
            async with (
                _run_api(settings) as address,
                httpx.AsyncClient(base_url=f"{address}{PREFIX}", params={"customer_id": CUSTOMER}, timeout=120) as api,
            ):
                database = create_database(get_database_url(settings))
                line = HTTPConnection(urlsplit(address).netloc)
                many, listed = (100, 1_000) if quick else (1_000, 10_000)
                bench = Bench(api, line, runs, await _publish(api, database), database, many, listed)
                try:
                    return await _measure_all(bench, 50 if quick else 500)
                finally:
                    bench.line.close()
                    await database.aclose()


def _run_api(settings: Settings) -> AbstractAsyncContextManager[str]:
    """Serve the API in its own process, as a context with its address."""
    environment = {"ORCHESTRATOR_HOME": str(settings.home), "ORCHESTRATOR_API_PORT": "0"}
    return run_command("api", settings, environment, SERVES)


async def _publish(api: httpx.AsyncClient, database: Database) -> Plan:
    """Publish the workflow that is started and return its plan."""
    definition = build_workflow(
        [{"id": "a", "type": "set", "config": {"x": 1}}], [{"source": "trigger", "target": "a"}]
    )
    (await api.post("/workflows", json=definition | {"id": "w"})).raise_for_status()
    (await api.post("/workflows/w/activate")).raise_for_status()
    return Plan.model_validate((await Definitions(database).get_version(CUSTOMER, "w", 1)).plan)


async def _measure_all(bench: Bench, count: int) -> dict[str, Any]:
    bare, result = await _measure_in_flight(bench)
    return {
        **await _measure_starts(bench, count),
        **result,
        **await _measure_events(bench, bare),
        **await _measure_lists(bench),
    }


async def _measure_starts(bench: Bench, count: int) -> dict[str, Any]:
    """Start runs one at a time, over HTTP and with the bare client in turn."""

    async def start_over_http() -> None:
        bench.ask("POST", f"/workflows/w/runs?customer_id={CUSTOMER}", {"input": {"n": 1}})

    async def start_bare() -> None:
        await bench.runs.start(bench.runs.prepare(bench.plan, input_data={"n": 1}))

    bench.line.close()  # the server closes idle connections after some seconds
    for _ in range(20):
        await start_over_http()
        await start_bare()
    times: dict[str, list[float]] = {"http": [], "bare": []}
    for _ in range(count):
        times["http"].append(await measure_time(start_over_http))
        times["bare"].append(await measure_time(start_bare))
    figures: dict[str, Any] = {}
    for name, part in (("p50", 49), ("p99", 98)):
        http, bare = (statistics.quantiles(times[client], n=100)[part] * 1000 for client in ("http", "bare"))
        figures[f"start {name}"] = f"{http:.2f} ms over HTTP, {bare:.2f} ms bare, ratio {http / bare:.2f}"
    return figures


async def _measure_in_flight(bench: Bench) -> tuple[float, dict[str, Any]]:
    """Start many runs concurrently; none may be lost. Returns the rate of the bare client, too."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    ids = [f"bench-{uuid4()}" for _ in range(bench.many)]

    async def start_over_http(_: str) -> str:
        async with slots:
            answer = await bench.api.post("/workflows/w/runs", json={})
            answer.raise_for_status()
            return str(answer.json()["id"])

    async def start_bare(run_id: str) -> str:
        async with slots:
            return (await bench.runs.start(bench.runs.prepare(bench.plan, run_id=run_id))).id

    start = time.perf_counter()
    started = await asyncio.gather(*map(start_over_http, ids))
    http = bench.many / (time.perf_counter() - start)
    start = time.perf_counter()
    await asyncio.gather(*map(start_bare, ids))
    client = bench.many / (time.perf_counter() - start)
    there = [await bench.runs.visibility.read_summary(run_id) for run_id in started]
    assert len({run.id for run in there}) == bench.many, "a start is lost"
    result = f"{http:,.0f}/s over HTTP, {client:,.0f}/s bare"
    return client, {f"{bench.many:,} starts, {IN_FLIGHT} in flight": result}


async def _measure_events(bench: Bench, bare: float) -> dict[str, Any]:
    """Send one event with a thousand subscribers."""
    definitions = Definitions(bench.database)
    content = {"id": "", "name": "n", "trigger": {"type": "event", "event": "bench.sent"}}
    plan = bench.plan.to_json()
    for number in range(bench.many):
        name = f"s{number:04}"
        stored = await definitions.create(CUSTOMER, name, content | {"id": name}, "bench")
        await definitions.publish(stored, stored.definition, plan | {"id": name}, by="bench")
    start = time.perf_counter()
    answer = (await bench.api.post("/events", json={"id": "e", "name": "bench.sent", "data": {"n": 1}})).json()
    while True:
        delivery = (await bench.api.get(f"/deliveries/{answer['id']}")).json()
        if not any(start["state"] == "pending" for start in delivery["runs"]):
            break
        await asyncio.sleep(0.05)
    took = time.perf_counter() - start
    refused = {start["reason"] for start in delivery["runs"] if start["reason"]}
    assert not refused, refused
    started = sum(start["state"] == "started" for start in delivery["runs"])
    assert started == bench.many, started
    result = f"all started in {took:.2f} s, {started / took:,.0f}/s; {bare:,.0f}/s bare"
    return {f"event with {bench.many:,} subscribers": result}


async def _measure_lists(bench: Bench) -> dict[str, Any]:
    """List one page of many runs."""
    now = datetime.now(UTC)
    await RunIndex(bench.database).put(
        RunSummary(
            id=f"listed-{number}", workflow_id="w", workflow_version=1, customer_id=CUSTOMER, status="completed",
            started_at=now - timedelta(seconds=number), completed_at=now, duration_ms=number,
        )
        for number in range(bench.listed)
    )  # fmt: skip

    async def list_page() -> None:
        asked = f"/runs?customer_id={CUSTOMER}&limit=50&workflow_id=w&status=completed"
        assert len(bench.ask("GET", asked)["items"]) == 50

    bench.line.close()
    await list_page()
    times = [await measure_time(list_page) for _ in range(50)]
    result = f"{statistics.median(times) * 1000:.1f} ms, at most {max(times) * 1000:.1f} ms"
    return {f"50 of {bench.listed:,} runs listed": result}


async def measure_time(work: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start
