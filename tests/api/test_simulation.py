"""Simulating a definition over HTTP."""

from typing import Any

import httpx
import pytest

from tests.temporal.world import make_definition

pytestmark = pytest.mark.temporal
CALL = {"type": "action", "action": "http.request", "config": {"url": "https://shop.example/{{ input.id }}"}}
GO = {"type": "wait", "config": {"event": "go"}}
WAITING = make_definition({"call": CALL, "wait": GO}, "trigger -> call", "call -> wait")


async def simulate(api: httpx.AsyncClient, **more: Any) -> Any:
    answer = await api.post("/workflows/simulate", json={"definition": WAITING, "input": {"id": 7}, **more})
    return answer.json() | {"http": answer.status_code}


async def test_a_definition_runs_in_memory_with_mocks_and_events(api: httpx.AsyncClient) -> None:
    mocks = {"http.request": {"output": {"status": 200, "body": "ok"}}}

    waiting = await simulate(api, actions=mocks)
    completed = await simulate(api, actions=mocks, events=[{"at": 60, "name": "go", "payload": {"by": "Ada"}}])
    failed = await simulate(api, actions={"http.request": [{"error": {"message": "down"}}]})

    assert (waiting["status"], completed["status"], failed["status"]) == ("waiting", "completed", "failed")
    assert completed["steps"][0]["input_data"]["url"] == "https://shop.example/7"
    assert completed["duration_ms"] == 60_000, "the clock is virtual"
    assert (await api.get("/runs")).json()["items"] == []


async def test_an_input_that_does_not_fit_the_schema_is_refused_with_its_position(api: httpx.AsyncClient) -> None:
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}

    refused = await simulate(api, definition={**WAITING, "settings": {"input_schema": schema}}, input={"id": "x"})

    assert (refused["http"], refused["errors"][0]["path"]) == (422, "/input/id")


async def test_mocks_that_are_no_answers_and_invalid_definitions_are_refused(api: httpx.AsyncClient) -> None:
    """A number as a mock was a failure of the simulator."""
    mistaken = await simulate(api, actions={"http.request": 5})
    invalid = await api.post("/workflows/simulate", json={"definition": {**WAITING, "nodes": []}})

    assert (mistaken["http"], invalid.status_code) == (422, 422)
    assert invalid.json()["code"] == "definition_invalid"
