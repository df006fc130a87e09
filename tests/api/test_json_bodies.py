"""Malformed bodies and queries are rejected before any work is done for them."""

import json
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from api.fields import ALLOWED_CHARACTERS, EVENT_NAME
from api.json_bodies import LOCATED_CHARACTERS, parse_body
from orchestrator.jsontools.json_values import MAX_DEPTH
from orchestrator.service.services import Services
from tests.temporal.world import make_definition

EVENT_NAME_HINT = ALLOWED_CHARACTERS[EVENT_NAME]
STATUS_MESSAGE = "must be 'draft', 'active', 'paused' or 'archived'"
JSON = {"content-type": "application/json"}
WAITS = make_definition({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a")


def nest(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def read_refusal(raw: bytes) -> str:
    with pytest.raises(HTTPException) as refusal:
        parse_body(raw)
    assert refusal.value.status_code == 400
    return refusal.value.detail


def test_a_duplicate_key_is_reported_with_its_path() -> None:
    assert read_refusal(b'{"a": [{"b": 1, "b": 2}]}').startswith("/a/0/b: duplicate key; the first one is in line 1")
    assert read_refusal(b'{"a": "' + b"-" * LOCATED_CHARACTERS + b'", "a": 1}').endswith(
        "duplicate key in an object: 'a'"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("part", ['"a":1,', '"a":1,"b":[' + "1," * 400_000 + "1],", '"a":{},"b":{"a":1,"a":1},'])
def test_many_duplicate_keys_are_rejected_quickly(part: str) -> None:
    raw = ("{" + part * (900_000 // len(part)) + '"a":1,"a":2}').encode()

    assert any(words in read_refusal(raw) for words in ("twice", "duplicate key"))


def test_the_depth_of_a_body_is_limited() -> None:
    assert parse_body(json.dumps(nest(MAX_DEPTH)).encode()) == nest(MAX_DEPTH)
    assert read_refusal(json.dumps(nest(MAX_DEPTH + 1)).encode()) == (
        "1:201: the text is nested too deeply: the maximum is 200 levels"
    )


@pytest.mark.temporal
async def test_a_deep_definition_can_be_listed(api: httpx.AsyncClient) -> None:
    nodes = [{"id": "a", "type": "set", "config": {"note": nest(99)}}]
    deepest = WAITS | {"id": "deep", "nodes": nodes}
    deeper = WAITS | {"id": "deep", "nodes": [nodes[0] | {"config": {"note": nest(MAX_DEPTH)}}]}

    refusal = await api.post("/workflows", content=json.dumps(deeper), headers=JSON)
    assert (refusal.status_code, refusal.json()["code"]) == (400, "json_syntax")
    judged = await api.post("/workflows", json=deepest)

    assert judged.status_code == 201, judged.text
    assert [each["id"] for each in (await api.get("/workflows")).json()["items"]] == ["deep"]


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("path", "name", "hint"),
    [
        ("/runs", "statsu", "did you mean `status`?"),
        ("/workflows/none", "format", "known parameters: customer_id"),
        ("/actions", "limit", "known parameters: customer_id"),
    ],
)
async def test_an_unknown_parameter_is_named(api: httpx.AsyncClient, path: str, name: str, hint: str) -> None:
    refused = await api.get(path, params={name: "running"})

    assert (refused.status_code, refused.json()["code"]) == (422, "bad_request")
    assert [(each["path"], each["hint"]) for each in refused.json()["errors"]] == [(f"query {name}", hint)]
    assert refused.json()["hint"] == hint


@pytest.mark.temporal
async def test_a_webhook_accepts_any_query_and_head_is_its_own_method(api: httpx.AsyncClient, customer: str) -> None:
    hook = {"type": "webhook", "webhook_path": "open", "config": {"methods": ["GET"]}}
    await api.post("/workflows", json=WAITS | {"id": "hooked", "trigger": hook})
    await api.post("/workflows/hooked/activate")

    assert (await api.get(f"/hooks/{customer}/open", params={"utm_source": "x"})).status_code == 202
    assert (await api.head(f"/hooks/{customer}/open")).status_code == 405, "HEAD must start nothing"


@pytest.mark.temporal
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs"])
async def test_health_checks_and_the_page_answer_head_without_a_body(
    api: httpx.AsyncClient, served_api: tuple[Services, str], path: str
) -> None:
    response = await api.head(f"{served_api[1]}{path}")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "/workflows", "GET, POST"),
        ("HEAD", "/workflows/none", "DELETE, GET, PUT"),
        ("HEAD", "/runs/none/stream", "GET"),
        ("DELETE", "/runs", "GET, POST"),
    ],
)
async def test_a_refused_method_lists_those_of_every_route_of_the_path(
    api: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    refused = await api.request(method, path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


@pytest.mark.temporal
async def test_a_post_to_a_health_check_lists_head(served_api: tuple[Services, str], api: httpx.AsyncClient) -> None:
    refused = await api.post(f"{served_api[1]}/healthz")

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("path", "sent", "error"),
    [
        ("/runs", {"definition": {}, "inputs": 1}, ("/inputs", "unknown field `inputs`", "did you mean `input`?")),
        ("/runs", {"definition": {}, "z": 1}, ("/z", "unknown field `z`", "known fields: definition, input, callees")),
        ("/runs", {}, ("/definition", "is required", None)),
        ("/runs", {"definition": []}, ("/definition", "must be an object, not a list", None)),
        ("/runs", [], ("", "must be an object, not a list", None)),
        ("/events", {"name": "a b"}, ("/name", "contains characters that are not allowed", EVENT_NAME_HINT)),
    ],
)
async def test_an_invalid_body_is_explained_without_internals(
    api: httpx.AsyncClient, path: str, sent: Any, error: tuple[str, str, str | None]
) -> None:
    require_error(await api.post(path, json=sent), *error)


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("path", "name", "value", "message", "hint"),
    [
        ("/runs", "limit", "none", "must be a whole number", None),
        ("/runs", "limit", "501", "must be at most 500", None),
        ("/runs", "since", "today", "must be a time with its offset, such as 2026-01-31T08:00:00Z", None),
        ("/workflows", "status", "activ", STATUS_MESSAGE, "did you mean `active`?"),
    ],
)
async def test_an_invalid_parameter_is_explained_without_internals(
    api: httpx.AsyncClient, path: str, name: str, value: str, message: str, hint: str | None
) -> None:
    require_error(await api.get(path, params={name: value}), f"query {name}", message, hint)


def require_error(response: httpx.Response, path: str, message: str, hint: str | None) -> None:
    problem = response.json()

    assert (response.status_code, problem["code"]) == (422, "bad_request")
    assert [(each["path"], each["message"], each["hint"]) for each in problem["errors"]] == [(path, message, hint)]
    assert problem["detail"] == f"{path or 'body'}: {message}"
    assert problem["hint"] == hint


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_body(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("half", [r"\ud800", r"\udc00x", r"\udc00\ud800"])
def test_half_of_a_surrogate_pair_is_refused(half: str) -> None:
    """Results of actions get U+FFFD in its place; a client of the API can correct what it sends."""
    assert "surrogate pair" in read_refusal(f'{{"a": "{half}"}}'.encode())
