"""The service beside the bare Temporal client: starts, lists, events. In turn on one machine, over loopback."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from activities import builtin_registry
from api.serve import served
from benchmarks.cases import workflow_of
from orchestrator.client import Runs, RunSummary, connect
from orchestrator.devserver import dev_server
from orchestrator.plan import Plan
from orchestrator.service.house import House, serving
from orchestrator.settings import Settings
from orchestrator.store.definitions import Definitions

CUSTOMER = "bench"
IN_FLIGHT = 50
MANY = 1_000
LISTED = 10_000


@dataclass(frozen=True)
class Place:
    """What is measured."""

    house: House
    api: httpx.AsyncClient
    plan: Plan


async def measure_service(quick: bool) -> dict[str, Any]:
    """Measure on a server, a database and an API of its own; no worker: what starts stays in the queue."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        async with dev_server(home / "temporal") as server:
            settings = Settings(
                home=home, temporal_address=server.address, api_port=0, rate_limit="1000000/second", task_queue="bench"
            )
            client = await connect(settings)
            async with (
                serving(settings, Runs(client, settings), builtin_registry()) as house,
                served(house) as address,
                httpx.AsyncClient(base_url=f"{address}/api/v1", params={"customer_id": CUSTOMER}, timeout=120) as api,
            ):
                return await _measured(house, api, 100 if quick else 500)


async def _measured(house: House, api: httpx.AsyncClient, count: int) -> dict[str, Any]:
    made = workflow_of([{"id": "a", "type": "set", "config": {"x": 1}}], [{"source": "trigger", "target": "a"}])
    (await api.post("/workflows", json=made | {"id": "w"})).raise_for_status()
    (await api.post("/workflows/w/activate")).raise_for_status()
    place = Place(house, api, (await house.workflows.startable(CUSTOMER, "w")).plan)
    return {
        **await _starts(place, count),
        **await _in_flight(place),
        **await _events(place),
        **await _lists(place),
    }


async def _starts(place: Place, count: int) -> dict[str, Any]:
    """Start one at a time, over HTTP and by the bare client in turn."""

    async def over_http() -> None:
        (await place.api.post("/workflows/w/runs", json={"input": {"n": 1}})).raise_for_status()

    async def bare() -> None:
        await place.house.runs.start(place.plan, given={"n": 1})

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


async def _in_flight(place: Place) -> dict[str, Any]:
    """Start many with some in flight; none may be lost."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    ids = [f"bench-{uuid4()}" for _ in range(MANY)]

    async def over_http(_: str) -> str:
        async with slots:
            answer = await place.api.post("/workflows/w/runs", json={})
            answer.raise_for_status()
            return str(answer.json()["id"])

    async def bare(run_id: str) -> str:
        async with slots:
            return (await place.house.runs.start(place.plan, run_id=run_id)).id

    began = time.perf_counter()
    started = await asyncio.gather(*map(over_http, ids))
    http = MANY / (time.perf_counter() - began)
    began = time.perf_counter()
    await asyncio.gather(*map(bare, ids))
    client = MANY / (time.perf_counter() - began)
    there = [await place.house.runs.summary(run_id) for run_id in started]
    return {
        f"{MANY:,} starts, {IN_FLIGHT} in flight": f"{http:,.0f}/s over HTTP, {client:,.0f}/s bare, "
        f"{MANY - len({run.id for run in there})} lost"
    }


async def _events(place: Place) -> dict[str, Any]:
    """Send one event that a thousand workflows wait for."""
    definitions = Definitions(place.house.database)
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
    return {f"event with {MANY:,} subscribers": f"{started:,} started in {took:.2f} s, {started / took:,.0f}/s"}


async def _lists(place: Place) -> dict[str, Any]:
    """List a page of many runs."""
    now = datetime.now(UTC)
    await place.house.index.put(
        RunSummary(
            id=f"listed-{number}", workflow_id="w", workflow_version=1, customer_id=CUSTOMER, status="completed",
            started_at=now - timedelta(seconds=number), completed_at=now, duration_ms=number,
        )
        for number in range(LISTED)
    )  # fmt: skip

    async def listed() -> None:
        answer = await place.api.get("/runs", params={"limit": 50, "workflow_id": "w", "status": "completed"})
        assert len(answer.json()["items"]) == 50

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
