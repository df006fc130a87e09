"""Bodies and queries that are no use to anybody are refused at the door, whatever they would cost further in."""

import json
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from api.json_bodies import LOCATED_CHARACTERS, MAX_DEPTH, parse_body
from orchestrator.service.services import Services
from tests.temporal.world import make_definition

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


def test_a_key_given_twice_is_named_with_its_place_or_by_itself_in_a_long_body() -> None:
    assert read_refusal(b'{"a": [{"b": 1, "b": 2}]}').startswith("/a/0/b: this key is given twice")
    assert read_refusal(b'{"a": "' + b"-" * LOCATED_CHARACTERS + b'", "a": 1}').endswith("twice in one object: 'a'")


@pytest.mark.parametrize("part", ['"a":1,', '"a":1,"b":[' + "1," * 400_000 + "1],", '"a":{},"b":{"a":1,"a":1},'])
def test_keys_given_twice_are_refused_at_once_however_many(part: str) -> None:
    raw = ("{" + part * (900_000 // len(part)) + '"a":1,"a":2}').encode()

    assert "twice" in read_refusal(raw)


def test_a_body_is_as_deep_as_an_answer_can_be() -> None:
    assert parse_body(json.dumps(nest(MAX_DEPTH)).encode()) == nest(MAX_DEPTH)
    assert read_refusal(json.dumps(nest(MAX_DEPTH + 1)).encode()) == (
        "1:201: the text is nested too deeply: 200 levels are allowed"
    )


@pytest.mark.temporal
async def test_what_is_kept_can_be_listed_however_deep_it_is(api: httpx.AsyncClient) -> None:
    nodes = [{"id": "a", "type": "wait", "config": {"event": "go", "note": nest(MAX_DEPTH - 4)}}]
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
        ("/workflows/none", "format", "known are customer_id"),
        ("/actions", "limit", "known are customer_id"),
    ],
)
async def test_a_parameter_that_nobody_knows_is_named(api: httpx.AsyncClient, path: str, name: str, hint: str) -> None:
    refused = await api.get(path, params={name: "running"})

    assert (refused.status_code, refused.json()["code"]) == (422, "bad_request")
    assert [(each["path"], each["hint"]) for each in refused.json()["errors"]] == [(f"query {name}", hint)]
    assert refused.json()["hint"] == hint


@pytest.mark.temporal
async def test_a_webhook_takes_any_query_and_head_is_a_method_of_its_own(api: httpx.AsyncClient, customer: str) -> None:
    hook = {"type": "webhook", "webhook_path": "open", "config": {"methods": ["GET"]}}
    await api.post("/workflows", json=WAITS | {"id": "hooked", "trigger": hook})
    await api.post("/workflows/hooked/activate")

    assert (await api.get(f"/hooks/{customer}/open", params={"utm_source": "x"})).status_code == 202
    assert (await api.head(f"/hooks/{customer}/open")).status_code == 405, "HEAD must start nothing"


@pytest.mark.temporal
async def test_head_is_answered_as_get_is_without_the_body(
    api: httpx.AsyncClient, served_api: tuple[Services, str]
) -> None:
    await api.post("/workflows", json=WAITS | {"id": "kept"})

    for path in ("/workflows", "/workflows/kept", "/runs", "/schema", "/openapi.json"):
        asked = await api.head(path)
        shown = await api.get(path)
        assert (asked.status_code, asked.content) == (200, b""), path
        assert asked.headers["content-length"] == shown.headers["content-length"]
        assert asked.headers.get("etag") == shown.headers.get("etag")
    run_id = (await api.post("/workflows/kept/runs")).json()["id"]
    stream = await api.head(f"/runs/{run_id}/stream")
    assert stream.headers["content-type"].startswith("text/event-stream"), "and it ends, though the run goes on"
    for path in ("/healthz", "/readyz", "/metrics", "/docs"):
        assert (await api.head(f"{served_api[1]}{path}")).status_code == 200, path

    assert (await api.head("/workflows/none")).status_code == 404
    refused = await api.delete("/runs")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
