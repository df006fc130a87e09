"""Starts over HTTP: admission, idempotency keys and versions."""

import httpx
import pytest

from tests.api.support import SET, create_workflow
from tests.temporal.world import make_definition, wait_until

pytestmark = pytest.mark.temporal


@pytest.mark.parametrize("name", ["x" * 129, "a/b", "a\u0000b", " "])
async def test_a_definition_that_is_not_kept_is_named_like_one_that_is(api: httpx.AsyncClient, name: str) -> None:
    made = make_definition(SET, "trigger -> a") | {"id": name}

    answer = await api.post("/runs", json={"definition": made})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "/id"), answer.text


async def test_what_is_not_published_is_version_0_and_counts_nowhere(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})
    draft = (await api.post("/workflows/w/runs", params={"wait": 20})).json()
    made = make_definition(SET, "trigger -> a") | {"id": "w", "version": 2**40}
    unkept = (await api.post("/runs", json={"definition": made}, params={"wait": 20})).json()

    assert [run["workflow_version"] for run in (draft, unkept)] == [0, 0]

    async def are_listed() -> bool:
        return len((await api.get("/runs")).json()["items"]) == 2

    await wait_until(are_listed)
    assert (await api.get("/workflows/w/stats")).json()["runs"] == 0


async def test_a_key_answers_the_first_run_whatever_has_become_of_the_workflow(api: httpx.AsyncClient) -> None:
    await create_workflow(api, "w", {"type": "manual"})
    key = {"idempotency-key": "k"}
    first = (await api.post("/workflows/w/runs", headers=key)).json()["id"]
    await api.post("/workflows/w/archive")

    again = await api.post("/workflows/w/runs", headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first)
    assert (await api.post("/workflows/w/runs")).status_code == 409


async def test_a_key_is_not_taken_by_what_is_too_large(api: httpx.AsyncClient) -> None:
    large = make_definition(SET, "trigger -> a", variables={"text": "x" * 885_000})
    assert (await api.post("/workflows", json=large | {"id": "w", "trigger": {"type": "manual"}})).status_code == 201
    key = {"idempotency-key": "one"}

    refused = await api.post("/workflows/w/runs", json={"input": "x" * 1_040_000}, headers=key)
    taken = await api.post("/workflows/w/runs", json={"input": "small"}, headers=key)

    assert (refused.status_code, taken.status_code) == (409, 202), taken.text
