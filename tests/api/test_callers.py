"""Which workflows call one, and which version of it they run."""

from typing import Any

import httpx
import pytest

from tests.temporal.world import make_definition

pytestmark = pytest.mark.temporal


def call(workflow_id: str, **config: Any) -> dict[str, Any]:
    return {"type": "workflow", "config": {"workflow_id": workflow_id, **config}}


async def publish(api: httpx.AsyncClient, workflow_id: str, nodes: dict[str, Any], text: str = "first") -> None:
    definition = make_definition(nodes, f"trigger -> {next(iter(nodes))}") | {"id": workflow_id, "description": text}
    stored = await api.put(f"/workflows/{workflow_id}", json=definition)
    if stored.status_code == 404:
        stored = await api.post("/workflows", json=definition)
    assert stored.is_success, stored.text
    answer = await api.post(f"/workflows/{workflow_id}/activate")
    assert answer.is_success, answer.text


async def list_callers(api: httpx.AsyncClient, workflow_id: str) -> list[tuple[Any, ...]]:
    listed = (await api.get(f"/workflows/{workflow_id}/callers")).json()["callers"]
    return [tuple(each[key] for key in ("workflow_id", "version", "holds", "pinned", "outdated")) for each in listed]


async def test_callers_run_the_version_with_which_they_were_published(api: httpx.AsyncClient) -> None:
    end = {"done": {"type": "end"}}
    await publish(api, "price", end)
    await publish(api, "price_list", end)  # not a caller: its ID begins alike
    await publish(api, "order", {"ask": call("price")})
    await publish(api, "shop", {"order": call("order")})
    await publish(api, "strict", {"ask": call("price", version=1)})
    await publish(api, "gone", {"ask": call("price")})
    await api.post("/workflows/gone/archive")
    before = await list_callers(api, "price")
    await publish(api, "price", end, "second")
    outdated = await list_callers(api, "price")
    again = await api.post("/workflows/order/rollback", json={"version": 1})
    after = await list_callers(api, "price")
    versions = (await api.get("/workflows/order/versions")).json()["items"]
    single = (await api.get("/workflows/order/versions/1")).json()

    assert before == [
        ("order", 1, 1, False, False),
        ("shop", 1, 1, False, False),
        ("strict", 1, 1, True, False),
    ]
    assert [each[-1] for each in outdated] == [True, True, False]
    assert again.json()["version"] == 2
    assert after == [("order", 2, 2, False, False), ("shop", 1, 1, False, True), ("strict", 1, 1, True, False)]
    assert [version["calls"] for version in versions] == [
        [{"workflow_id": "price", "version": number, "pinned": False}] for number in (2, 1)
    ]
    assert single["calls"] == versions[1]["calls"]
    assert await list_callers(api, "price_list") == []
    assert (await api.get("/workflows/nowhere/callers")).status_code == 404
