"""Bodies and queries that are no use to anybody are refused at the door, whatever they would cost further in."""

import json
import time
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from api.strict import LOCATED_CHARACTERS, MAX_DEPTH, parsed
from tests.temporal.world import definition

JSON = {"content-type": "application/json"}
WAITS = definition({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def refused(raw: bytes) -> str:
    with pytest.raises(HTTPException) as refusal:
        parsed(raw)
    assert refusal.value.status_code == 400
    return refusal.value.detail


def test_a_key_given_twice_is_named_with_its_place_or_by_itself_in_a_long_body() -> None:
    assert refused(b'{"a": [{"b": 1, "b": 2}]}').startswith("/a/0/b: this key is given twice")
    assert refused(b'{"a": "' + b"-" * LOCATED_CHARACTERS + b'", "a": 1}').endswith("twice in one object: 'a'")


@pytest.mark.parametrize("part", ['"a":1,', '"a":1,"b":[' + "1," * 400_000 + "1],", '"a":{},"b":{"a":1,"a":1},'])
def test_keys_given_twice_are_refused_at_once_however_many(part: str) -> None:
    raw = ("{" + part * (900_000 // len(part)) + '"a":1,"a":2}').encode()
    began = time.perf_counter()

    assert "twice" in refused(raw)
    assert time.perf_counter() - began < 1


def test_a_body_is_as_deep_as_an_answer_can_be() -> None:
    assert parsed(json.dumps(nested(MAX_DEPTH)).encode()) == nested(MAX_DEPTH)
    assert refused(json.dumps(nested(MAX_DEPTH + 1)).encode()) == (
        "1:201: the text is nested too deeply: 200 levels are allowed"
    )


@pytest.mark.temporal
async def test_what_is_kept_can_be_listed_however_deep_it_is(api: httpx.AsyncClient) -> None:
    nodes = [{"id": "a", "type": "wait", "config": {"event": "go", "note": nested(MAX_DEPTH - 4)}}]
    deepest = WAITS | {"id": "deep", "nodes": nodes}
    deeper = WAITS | {"id": "deep", "nodes": [nodes[0] | {"config": {"note": nested(MAX_DEPTH)}}]}

    refusal = await api.post("/workflows", content=json.dumps(deeper), headers=JSON)
    assert (refusal.status_code, refusal.json()["code"]) == (400, "json_syntax")
    judged = await api.post("/workflows", json=deepest)

    assert judged.status_code == 201, judged.text
    assert [each["id"] for each in (await api.get("/workflows")).json()["items"]] == ["deep"]
