"""Hostile requests of up to 1 MB never hold the event loop.

The lag is processor time of the loop's thread between two ticks, so that a busy machine changes nothing.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from api.serve import exclude_startup_from_collection
from tests.api.support import create_active_workflow, make_hook
from tests.temporal.world import make_definition

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

LIMIT_SECONDS = 0.25
REPEATS = 3
TICK_SECONDS = 0.005
MEGABYTE = 1_000_000
SEED = 20_261
ROUNDS = 20
SET = {"a": {"type": "set", "config": {"x": 1}}}
HUNDRED = 100


@asynccontextmanager
async def measure_lag() -> AsyncIterator[list[float]]:
    """Collect the processor time of this thread between every two ticks of its loop."""
    lags: list[float] = []

    async def tick() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.thread_time()
            lags.append(now - before)
            before = now

    task = asyncio.create_task(tick())
    try:
        yield lags
    finally:
        task.cancel()


def make_doubling_schema(depth: int = 28) -> dict[str, Any]:
    """Return a schema whose size doubles with each reference: 1.6 kB take 100 million checks."""
    parts: dict[str, Any] = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}, {"$ref": f"#/$defs/d{level + 1}"}]}
        for level in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**parts, f"d{depth}": {"type": "string"}}}


def make_scheduled(schema: Any, value: Any) -> dict[str, Any]:
    """Return a definition whose check compares a value with a schema."""
    trigger = {"type": "schedule", "cron": "@daily", "config": {"input": value}}
    return make_definition(SET, "trigger -> a", settings={"input_schema": schema}) | {"trigger": trigger}


def make_row(count: int) -> dict[str, Any]:
    nodes = [{"id": f"n{number}", "type": "set", "config": {"x": number}} for number in range(count)]
    edges = [{"source": f"n{number}", "target": f"n{number + 1}"} for number in range(count - 1)]
    first = {"source": "trigger", "target": "n0"}
    return {"name": "Row", "trigger": {"type": "manual"}, "nodes": nodes, "edges": [first, *edges]}


def iterate_definitions() -> Iterator[tuple[str, Any]]:
    plain = make_definition(SET, "trigger -> a")
    yield "doubling references", make_scheduled(make_doubling_schema(), "text")
    yield "unique items", make_scheduled({"uniqueItems": True}, [{"n": n} for n in range(2_500)])
    yield "unknown keys", plain | {f"k{number}": 1 for number in range(70_000)}
    yield (
        "unknown keys of a config",
        make_definition(
            {"a": {"type": "delay", "config": {f"secondz{number}": 1 for number in range(50_000)}}}, "trigger -> a"
        ),
    )
    yield "wrong types", plain | {"nodes": [1] * 400_000}
    yield "wrong types in nodes", plain | {"nodes": [{"id": 1, "type": 2, "next": 3} for _ in range(25_000)]}
    yield "edges to nowhere", plain | {"edges": [{"source": "x", "target": "y"} for _ in range(25_000)]}
    yield "nodes of one id", plain | {"nodes": [{"id": "a", "type": "set"} for _ in range(30_000)]}
    yield "a long row", make_row(7_000)
    yield (
        "many templates",
        make_definition(
            {"a": {"type": "set", "config": {f"v{n}": "{{ missing.x | upper }}" for n in range(20_000)}}},
            "trigger -> a",
        ),
    )
    yield (
        "one long template",
        make_definition({"a": {"type": "set", "config": {"x": "{{ input.a }}" * 60_000}}}, "trigger -> a"),
    )
    yield (
        "a long expression",
        make_definition(
            {"a": {"type": "set", "config": {"x": "{{ " + "input.a | upper " * 40_000 + "}}"}}}, "trigger -> a"
        ),
    )
    yield "a large pattern", make_scheduled({"pattern": "((a{30}){30}){30}" * 500}, "a" * 10_000)
    yield (
        "many patterns",
        make_scheduled(
            {"patternProperties": {f"^k{n}.*[a-z]{{50}}$": {} for n in range(5_000)}},
            {f"k{n}": 1 for n in range(5_000)},
        ),
    )
    yield (
        "nested conditions",
        make_definition(
            {"c": {"type": "condition", "config": {"conditions": [{"field": "a", "operator": "equals"}] * 15_000}}},
            "trigger -> c",
        ),
    )
    yield "a long cron", plain | {"trigger": {"type": "schedule", "cron": ",".join(["*/2"] * 100_000) + " * * * *"}}
    yield "a cron that never fires", plain | {"trigger": {"type": "schedule", "cron": "0 0 30 2 *"}}
    yield "a large variable", plain | {"variables": {"list": list(range(150_000))}}


def iterate_bodies() -> Iterator[tuple[str, bytes]]:
    yield "nested lists", b"[" * MEGABYTE
    yield "nested objects", b'{"a":' * 150_000
    yield "bad at the end", b"[" + b"1," * 490_000 + b"x]"
    yield "one key twice", b"{" + b'"a":1,' * 150_000 + b'"a":1}'
    yield "digits", b"9" * MEGABYTE
    yield "many keys", json.dumps({f"k{number}": number for number in range(55_000)}).encode()
    yield "escapes", b'"' + b"\\u00e9" * 160_000 + b'"'
    yield "surrogates", b'"' + b"\\ud800" * 160_000 + b'"'


def make_random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 6 else 5)
    if kind == 0:
        return rng.choice([None, True, 0, -1, 10**400, 1e300, ""])
    if kind == 1:
        return rng.choice(["{{ " + " | ".join(["input.a"] * 400) + " }}", "x" * 5_000, "{{" * 2_000, "\u202e" * 100])
    if kind == 2:
        return make_doubling_schema(26)
    if kind in (3, 4):
        return rng.choice(["set", "loop", "action", "trigger", "a", "equals", "*/1 * * * *", "$ref"])
    if kind == 5:
        return [make_random_value(rng, depth + 1) for _ in range(rng.choice([1, 5, 40]))]
    names = ["id", "type", "config", "next", "condition", "operator", "field", "$ref", "allOf", "items", "pattern", "x"]
    return {rng.choice(names) + rng.choice(["", "", "1"]): make_random_value(rng, depth + 1) for _ in range(12)}


def mutate(rng: random.Random, definition: dict[str, Any]) -> dict[str, Any]:
    """Return the definition with some of its parts replaced."""
    mutated = dict(definition)
    for key in rng.sample(["nodes", "edges", "trigger", "settings", "variables", "name", "extra"], 2):
        mutated[key] = make_random_value(rng)
    return mutated


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()[:MEGABYTE]


class Attack:
    """Sends requests, and records the worst lag of each."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api = api
        self.worst: dict[str, float] = {}

    async def send(self, what: str, method: str, path: str, content: bytes = b"", **more: Any) -> httpx.Response:
        """Send a request, and again where it was slow: what blocks the loop does so every time, a cold cache once."""
        headers = {"content-type": "application/json"} | more.pop("headers", {})
        send_once = partial(self._measure, method, path, content=content, headers=headers, timeout=100, **more)
        answer, lag = await send_once()
        for _ in range(REPEATS):
            if lag <= LIMIT_SECONDS:
                break
            again, lag_again = await send_once()
            if again.status_code != answer.status_code:  # it took another path
                break
            lag = min(lag, lag_again)
        self.worst[what] = lag
        busy = answer.status_code == 503 and answer.json()["code"] == "busy"  # the machine, not the request
        assert busy or answer.status_code < 500, (what, answer.text)
        return answer

    async def _measure(self, method: str, path: str, **more: Any) -> tuple[httpx.Response, float]:
        async with measure_lag() as lags:
            answer = await self.api.request(method, path, **more)
            await asyncio.sleep(4 * TICK_SECONDS)
        return answer, max(lags)

    def require_small_lag(self) -> None:
        ordered = sorted(self.worst.items(), key=lambda each: -each[1])
        print(*(f"{seconds * 1000:6.0f} ms {what}" for what, seconds in ordered[:15]), sep="\n")

        assert {what: seconds for what, seconds in ordered if seconds > LIMIT_SECONDS} == {}


@pytest.fixture
def attack(api: httpx.AsyncClient) -> Iterator[Attack]:
    with exclude_startup_from_collection():  # as the commands that serve the API do
        yield Attack(api)


@pytest.mark.long
async def test_hostile_definitions(attack: Attack) -> None:
    for name, definition in iterate_definitions():
        body = encode(definition)
        await attack.send(f"validate {name}", "POST", "/workflows/validate", body)
        stored = await attack.send(f"create {name}", "POST", "/workflows", encode(definition | {"id": "hostile"}))
        if stored.status_code == 201:
            for path in ("", "/graph", "/schedule"):
                await attack.send(f"get{path} {name}", "GET", f"/workflows/hostile{path}")
            await attack.send(f"list {name}", "GET", "/workflows")
            await attack.send(f"activate {name}", "POST", "/workflows/hostile/activate")
            await attack.send(f"delete {name}", "DELETE", "/workflows/hostile")
        await attack.send(f"run {name}", "POST", "/runs", encode({"definition": definition, "input": {}}))

    attack.require_small_lag()


async def test_hostile_inputs(attack: Attack) -> None:
    for name, schema, value in (
        ("doubling references", make_doubling_schema(), "text"),
        ("unique items", {"uniqueItems": True}, [{"n": number} for number in range(40_000)]),
        ("a large input", {}, {"items": list(range(150_000))}),
    ):
        definition = make_definition(SET, "trigger -> a", settings={"input_schema": schema})
        await attack.send(name, "POST", "/runs", encode({"definition": definition, "input": value}))
    for name, body in iterate_bodies():
        await attack.send(f"run of {name}", "POST", "/runs", body)
        await attack.send(f"event of {name}", "POST", "/events", b'{"name":"e","data":' + body + b"}")

    attack.require_small_lag()


async def test_hostile_webhooks_and_events(attack: Attack, api: httpx.AsyncClient, customer: str) -> None:
    costly = "{{ body | json | upper | lower | upper | lower | upper | lower | replace('A', 'B') }}"
    await create_active_workflow(api, "open", make_hook("open"))
    await create_active_workflow(api, "resume", make_hook("resume", resume={"run_id": costly, "event": costly}))
    condition = {"field": "data", "operator": "contains", "value": "y" * 1_000}
    for number in range(10):
        trigger = {"type": "event", "event": "e", "config": {"filter": condition}}
        await create_active_workflow(api, f"e{number}", trigger)
    text = b"application/x-www-form-urlencoded"
    for name, body in iterate_bodies():
        for hook in ("open", "resume"):
            await attack.send(f"{hook} hook of {name}", "POST", f"/hooks/{customer}/{hook}", body)
    for hook in ("open", "resume"):
        for name, body in (
            ("fields", b"a=1&" * 240_000),
            ("separators", b"&" * MEGABYTE),
            ("percents", b"%41" * 330_000),
        ):
            path, headers = f"/hooks/{customer}/{hook}", {"content-type": text.decode()}
            await attack.send(f"{hook} form of {name}", "POST", path, body, headers=headers)
        await attack.send(f"{hook} text", "POST", path, b"x" * 990_000, headers={"content-type": "text/plain"})
        await attack.send(f"{hook} query", "POST", f"{path}?{'a=1&' * 10_000}")
    await attack.send("event of a large list", "POST", "/events", encode({"name": "e", "data": ["x" * 90] * 9_000}))

    attack.require_small_lag()


@pytest.mark.long
async def test_random_definitions(attack: Attack) -> None:
    rng = random.Random(SEED)
    for number in range(ROUNDS):
        definition = mutate(rng, make_definition(SET, "trigger -> a"))
        path = rng.choice(["/workflows/validate", "/workflows"])
        await attack.send(f"{path} of number {number}", "POST", path, encode(definition | {"id": f"random-{number}"}))

    attack.require_small_lag()
