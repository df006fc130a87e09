"""Internal errors are answered and logged, and the connection stays usable."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import pytest

from api.problem_types import PROBLEM_TYPES
from orchestrator.errors import OrchestratorError
from orchestrator.service.services import Services
from orchestrator.store.database import StoreUnavailable, ValueRefused
from tests.api.support import CLIENT_SECONDS, SET, WAIT, create_workflow, serve_api
from tests.temporal.world import World, make_definition, wait_until

pytestmark = pytest.mark.temporal


async def request_raw(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str) -> tuple[int, Any]:
    """Send a request on a connection that stays open; return status and body."""
    reader, writer = connection
    writer.write(f"GET /api/v1{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def test_an_internal_error_is_reported_and_logged_and_the_connection_stays_open(
    served_api: tuple[Services, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def raise_fault(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("unexpected")

    monkeypatch.setattr(served_api[0].workflows.definitions, "list_definitions", raise_fault)
    address = urlsplit(served_api[1])
    connection = await asyncio.open_connection(address.hostname, address.port)
    with caplog.at_level(logging.ERROR):
        status, body = await request_raw(connection, "/workflows")
    monkeypatch.undo()
    after, _ = await request_raw(connection, "/workflows")
    connection[1].close()

    assert (status, body["code"], after) == (500, "internal", 200)
    (record,) = [each for each in caplog.records if each.name.startswith("api.")]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_a_value_that_cannot_be_stored_is_a_client_error(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> NoReturn:
        raise ValueRefused

    monkeypatch.setattr(services.workflows.definitions, "list_definitions", refuse)
    refused = await api.get("/workflows")

    assert (refused.status_code, refused.json()["code"]) == (422, "value_refused")


async def test_a_slash_at_the_end_of_a_path_gets_a_hint(api: httpx.AsyncClient) -> None:
    slash, nowhere = await api.get("/workflows/"), await api.get("/nothing/")

    assert (slash.status_code, slash.json()["hint"]) == (404, "remove the slash at the end: /api/v1/workflows")
    assert (nowhere.status_code, nowhere.json()["hint"]) == (404, None)


async def test_a_repeated_query_parameter_is_refused(api: httpx.AsyncClient) -> None:
    """All values but one were ignored silently."""
    answer = await api.get("/runs", params={"limit": [1, 2]})

    assert answer.status_code == 422
    assert [(each["path"], each["code"]) for each in answer.json()["errors"]] == [("query limit", "repeated_parameter")]


async def test_a_name_of_control_characters_is_refused(api: httpx.AsyncClient) -> None:
    definition = {**make_definition(SET, "trigger -> a"), "name": "\u0007\u001b"}

    answer = await api.post("/workflows", json=definition)

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "/name")


async def test_the_success_rate_is_0_before_the_first_run(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})

    assert (await api.get("/workflows/w")).json()["success_rate"] == 0
    assert (await api.get("/workflows/w/stats")).json()["success_rate"] == 0


async def test_a_request_that_waits_is_answered_when_the_process_stops(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered by a plain 500, so that the client started the run again."""
    monkeypatch.setattr("api.serve.GRACE_SECONDS", 30)
    async with httpx.AsyncClient(timeout=CLIENT_SECONDS) as client:
        async with serve_api(world, tmp_path) as (services, address):
            body = {"definition": make_definition({"a": WAIT}, "trigger -> a")}
            waiting = asyncio.create_task(client.post(f"{address}/api/v1/runs?wait=60", json=body))

            async def is_listed() -> bool:
                return bool(await services.operations.list_runs(None))

            await wait_until(is_listed)
        answer = await waiting

    assert answer.status_code == 202
    assert answer.json()["id"]


async def test_an_outage_shows_no_address(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise StoreUnavailable("the database does not respond: postgresql://me@db.internal:5432/orchestrator")

    monkeypatch.setattr(services.workflows.definitions, "list_definitions", fail)
    answer = await api.get("/workflows")

    assert (answer.status_code, answer.json()["detail"]) == (503, "The database does not respond.")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_type_of_a_problem_leads_to_its_page(served_api: tuple[Services, str]) -> None:
    async with httpx.AsyncClient(base_url=served_api[1], timeout=CLIENT_SECONDS) as client:
        problem = await client.get("/api/v1/runs/none")
        page = await client.get(problem.json()["type"])
        listed = await client.get("/problems")
        unknown = await client.get("/problems/none")

    assert (problem.json()["type"], page.status_code) == ("/problems/run_not_found", 200)
    assert PROBLEM_TYPES["run_not_found"].meaning in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert [code for code in PROBLEM_TYPES if f'href="problems/{code}"' not in listed.text] == []
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_address")


ANSWERING = ("orchestrator.service.", "orchestrator.store.", "orchestrator.errors", "orchestrator.timing.", "api.")
NEVER_ANSWERED = {
    *("error", "expression_error", "step_failed", "bad_settings", "lease_lost", "address_in_use", "simulation_stuck"),
}
"""Codes of base classes, of steps, of simulations, and of a process that does not start."""


def list_codes(kind: type[OrchestratorError]) -> set[str]:
    own = {kind.code} if kind.__module__.startswith(ANSWERING) else set()
    return own.union(*map(list_codes, kind.__subclasses__()))


def test_every_error_that_the_service_can_answer_with_has_a_type() -> None:
    assert list_codes(OrchestratorError) - NEVER_ANSWERED - set(PROBLEM_TYPES) == set()


@pytest.mark.parametrize(
    ("path", "body", "pointer", "message", "hint"),
    [
        (
            "/runs/x/interventions",
            {"kind": "skip_wait", "node_id": "a", "resaon": "x"},
            "/resaon",
            "unknown field `resaon`",
            "did you mean `reason`?",
        ),
        ("/runs/x/interventions", {"kind": "set_variables", "variables": 1}, "/variables", "must be an object", None),
        ("/runs/x/interventions", {"kind": "stop"}, "/kind", "must be one of 'set_variables', 'set_parameters'", None),
        ("/runs/x/interventions", {"node_id": "a"}, "/kind", "is required", None),
        ("/runs/x/interventions", {"kind": "set_variables"}, "/variables", "is required", None),
        (
            "/bulk",
            {"operation": "rerun", "filter": {"statu": ["failed"]}},
            "/filter/statu",
            "unknown field `statu`",
            "did you mean `status`?",
        ),
        (
            "/bulk",
            {"operation": "rerun", "filter": {"key": ["order"]}},
            "/filter/key/0",
            "contains characters that are not allowed",
            "write name=value, such as order=4711",
        ),
    ],
)
async def test_a_mistake_deep_in_a_body_has_its_pointer_and_a_hint(
    api: httpx.AsyncClient, path: str, body: dict[str, Any], pointer: str, message: str, hint: str | None
) -> None:
    """Pointers had the kind of a repair, and hints the fields around the object that is wrong."""
    answer = await api.post(path, json=body)

    (mistake,) = answer.json()["errors"]
    assert (answer.status_code, mistake["path"], mistake["hint"]) == (422, pointer, hint)
    assert mistake["message"].startswith(message)


async def test_a_value_of_several_types_has_the_pointer_to_itself(api: httpx.AsyncClient) -> None:
    """Pointers went on with the name of each type: `/key/order/int`."""
    answer = await api.post("/events", json={"id": "1", "name": "paid", "key": {"order": {"a": 1}}})

    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["errors"]} == {"/key/order"}


@pytest.mark.parametrize(
    ("mock", "pointer", "hint"),
    [
        ({"outptu": 1}, "/actions/http.request/outptu", "did you mean `output`?"),
        ([{"answer": 1}], "/actions/http.request/0/answer", "known fields: output, error"),
    ],
)
async def test_a_mistake_in_the_values_of_an_object_has_the_fields_of_these(
    api: httpx.AsyncClient, mock: Any, pointer: str, hint: str
) -> None:
    """Hints ended after `known fields:`."""
    body = {"definition": {}, "actions": {"http.request": mock}}
    answer = await api.post("/workflows/simulate", json=body)

    hints = {each["path"]: each["hint"] for each in answer.json()["errors"]}
    assert (answer.status_code, hints[pointer]) == (422, hint)
