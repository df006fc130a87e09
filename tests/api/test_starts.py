"""Starts over HTTP: admission, idempotency keys and versions."""

import httpx
import pytest

from orchestrator.service.services import Services
from orchestrator.store.database import StoreUnavailable
from tests.api.support import SET, create_workflow
from tests.temporal.world import make_definition, wait_until

pytestmark = pytest.mark.temporal


@pytest.mark.parametrize("name", ["x" * 129, "a/b", "a\u0000b", " "])
async def test_an_ad_hoc_definition_has_a_valid_id(api: httpx.AsyncClient, name: str) -> None:
    definition = make_definition(SET, "trigger -> a") | {"id": name}

    answer = await api.post("/runs", json={"definition": definition})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "/id"), answer.text


async def test_an_unpublished_run_has_version_0_and_is_not_counted(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})
    draft = (await api.post("/workflows/w/runs", params={"wait": 60})).json()
    definition = make_definition(SET, "trigger -> a") | {"id": "w", "version": 2**40}
    unkept = (await api.post("/runs", json={"definition": definition}, params={"wait": 60})).json()

    assert [run["workflow_version"] for run in (draft, unkept)] == [0, 0]

    async def are_listed() -> bool:
        return len((await api.get("/runs")).json()["items"]) == 2

    await wait_until(are_listed)
    assert (await api.get("/workflows/w/stats")).json()["runs"] == 0


async def test_a_key_returns_the_first_run_of_an_archived_workflow(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})
    key = {"idempotency-key": "k"}
    first = (await api.post("/workflows/w/runs", headers=key)).json()["id"]
    await api.post("/workflows/w/archive")

    again = await api.post("/workflows/w/runs", headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first)
    assert (await api.post("/workflows/w/runs")).status_code == 409


async def test_a_key_returns_the_first_run_though_its_start_is_not_recorded(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was unavailable for a moment; then the workflow was archived, and the key was refused."""
    await create_workflow(api, "w", {"type": "manual"})
    key = {"idempotency-key": "k"}

    async def refuse(_: object) -> None:
        raise StoreUnavailable("restarting")

    with monkeypatch.context() as patch:
        patch.setattr(services.starts.deliveries, "settle", refuse)
        first = (await api.post("/workflows/w/runs", headers=key)).json()["id"]
    await api.post("/workflows/w/archive")

    again = await api.post("/workflows/w/runs", headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first), again.text


async def test_a_start_that_is_too_large_does_not_use_up_its_key(api: httpx.AsyncClient) -> None:
    large = make_definition(SET, "trigger -> a", variables={"text": "x" * 885_000})
    assert (await api.post("/workflows", json=large | {"id": "w", "trigger": {"type": "manual"}})).status_code == 201
    key = {"idempotency-key": "one"}

    refused = await api.post("/workflows/w/runs", json={"input": "x" * 1_040_000}, headers=key)
    taken = await api.post("/workflows/w/runs", json={"input": "small"}, headers=key)

    assert (refused.status_code, taken.status_code) == (409, 202), taken.text


async def test_a_key_stands_for_one_start(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})
    key, definition = {"idempotency-key": "k"}, make_definition(SET, "trigger -> a")
    first = await api.post("/workflows/w/runs", json={"input": {"a": 1, "b": 2}}, headers=key)
    ad_hoc = await api.post("/runs", json={"definition": definition}, headers=key)

    same = [
        await api.post("/workflows/w/runs", json={"input": {"b": 2, "a": 1}}, headers=key),
        await api.post("/runs", json={"definition": definition}, headers=key),
    ]
    others = [
        await api.post("/workflows/w/runs", json={"input": {"a": 2}}, headers=key),
        await api.post("/runs", json={"definition": definition | {"name": "Other"}}, headers=key),
        await api.post("/runs", json={"definition": definition, "input": 1}, headers=key),
    ]

    assert [each.json()["id"] for each in same] == [first.json()["id"], ad_hoc.json()["id"]]
    assert [(each.status_code, each.json()["code"]) for each in others] == [(422, "idempotency_key_reused")] * 3
