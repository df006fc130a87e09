"""The proxy of Temporal's Web UI shows payloads that are stored outside of Temporal."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.temporal_page import create_temporal_page
from orchestrator.temporal.devserver import DevServer
from orchestrator.temporal.payload_store.codec import decode_payloads
from tests.api.support import CLIENT_SECONDS, serve_api
from tests.temporal.world import World, make_plan

pytestmark = pytest.mark.temporal

TEXT = "0123456789abcdef" * 8_192


@pytest.fixture
async def page(large: World, server: DevServer) -> AsyncIterator[httpx.AsyncClient]:
    app = create_temporal_page(server.ui_url, partial(decode_payloads, large.client.data_converter))
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8233") as client,
    ):
        yield client


async def read_first_payload(world: World) -> dict[str, Any]:
    """Run a workflow with a large input, and return the input as Temporal stores it."""
    nodes = {"one": {"type": "set", "config": {"done": True}}}
    run = await world.run(make_plan(nodes, "trigger -> one", customer=world.script()[0]), {"text": TEXT})
    history = json.loads((await world.client.get_workflow_handle(run.id).fetch_history()).to_json())
    payload: dict[str, Any] = history["events"][0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]
    return payload


@pytest.mark.parametrize("operation", ["decode", "decode?preserveStorageRefs=true", "download"])
async def test_a_stored_payload_is_shown(large: World, page: httpx.AsyncClient, operation: str) -> None:
    stored = await read_first_payload(large)
    answer = await page.post(f"/codec/{operation}", json={"payloads": [stored]})
    (shown,) = answer.json()["payloads"]

    assert json.loads(b64decode(shown["data"])) == {"text": TEXT}
    assert b64decode(shown["metadata"]["encoding"]) == b"json/plain"


async def test_other_payloads_pass_as_they_are(page: httpx.AsyncClient) -> None:
    payload = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "e30="}
    for operation in ("decode", "encode"):
        answer = await page.post(f"/codec/{operation}", json={"payloads": [payload]})

        assert answer.json() == {"payloads": [payload]}


async def test_the_settings_of_the_page_name_the_codec(page: httpx.AsyncClient) -> None:
    answer = await page.get("/api/v1/settings")

    assert answer.json()["Codec"]["Endpoint"] == "http://127.0.0.1:8233/codec"
    assert answer.json()["Version"]


@pytest.mark.parametrize(
    "body", [{}, [], {"payloads": [1]}, {"payloads": [{"data": "%"}]}, {"payloads": [{"data": 1}]}]
)
async def test_what_is_not_a_list_of_payloads_is_refused(page: httpx.AsyncClient, body: Any) -> None:
    assert (await page.post("/codec/decode", json=body)).status_code == 400


async def test_a_reference_to_something_else_is_refused(large: World, page: httpx.AsyncClient) -> None:
    stored = await read_first_payload(large)
    Path(str(large.runs.settings.payload_store)).joinpath("secret").write_text("secret")
    reference = json.loads(b64decode(stored["data"]))
    reference["claimData"]["key"] = "../secret"
    changed = {**stored, "data": b64encode(json.dumps(reference).encode()).decode()}
    answer = await page.post("/codec/decode", json={"payloads": [changed]})

    assert (answer.status_code, "not the key" in answer.text) == (503, True)


async def test_a_page_of_another_origin_reads_nothing(large: World, page: httpx.AsyncClient) -> None:
    stored = await read_first_payload(large)
    headers = {"Origin": "http://evil.example"}

    assert (await page.post("/codec/decode", json={"payloads": [stored]}, headers=headers)).status_code == 403
    assert (await page.get("/api/v1/settings", headers=headers)).status_code == 403


async def test_the_codec_of_the_api_is_for_keys_to_all_customers(large: World, tmp_path: Path) -> None:
    stored = await read_first_payload(large)
    async with (
        serve_api(large, tmp_path) as (services, address),
        httpx.AsyncClient(base_url=address, timeout=CLIENT_SECONDS) as client,
    ):
        _, for_all = await services.keys.create(None, "all", ("read",))
        _, of_one = await services.keys.create("acme", "acme", ("admin",))
        allowed, refused = [
            await client.post(
                "/api/v1/codec/decode",
                json={"payloads": [stored]},
                headers={"Authorization": f"Bearer {key}"},
            )
            for key in (for_all, of_one)
        ]
        invalid = await client.post(
            "/api/v1/codec/decode",
            json={"payloads": [{"data": "%"}]},
            headers={"Authorization": f"Bearer {for_all}"},
        )

    assert json.loads(b64decode(allowed.json()["payloads"][0]["data"])) == {"text": TEXT}
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert invalid.status_code == 422
