"""An event is checked against the plan of the run that it is sent to, and counts once."""

import httpx
import pytest

from tests.api.support import start_run, wait_for_status
from tests.temporal.world import wait_until

pytestmark = pytest.mark.temporal

SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
TEXT = {"type": "string"}


def make_wait(event: str, **config: object) -> dict[str, object]:
    return {"type": "wait", "config": {"event": event, **config}}


NODES = {
    "fork": {"type": "parallel", "branches": [["ask"], ["sign"]]},
    "ask": make_wait("approved", schema=SCHEMA),
    "sign": {"type": "loop", "collection": 1, "body": ["name"]},
    "name": make_wait("signed", schema=TEXT),
    "again": {"type": "wait", "config": {"event": ["approved", "revoked"], "schema": TEXT}},
}
EDGES = ("trigger -> fork", "fork -> again")


@pytest.mark.parametrize(
    ("name", "payload", "status", "detail"),
    [
        ("aproved", {"ok": True}, 409, "waits for no event 'aproved'"),
        ("rejected", {"ok": True}, 409, "waits for no event 'rejected'"),
        ("approved", {"ok": "yes"}, 422, "/ok: must be true or false"),
        ("approved", None, 422, "must be an object, not null"),
        ("signed", {"by": "Ada"}, 422, "must be text, not an object"),
        ("approved", {"ok": True}, 202, ""),
        ("approved", "the second wait takes text", 202, ""),
        ("signed", "Ada", 202, ""),
        ("revoked", "Ada", 202, ""),
    ],
)
async def test_an_event_that_no_wait_can_take_is_refused_at_once(
    api: httpx.AsyncClient, name: str, payload: object, status: int, detail: str
) -> None:
    """It was accepted, and all that told of it was a warning on the step."""
    run_id = await start_run(api, NODES, *EDGES)
    answer = await api.post(f"/runs/{run_id}/events/{name}", json=payload)

    assert answer.status_code == status
    assert detail in answer.text


async def test_a_refused_event_names_those_that_the_run_waits_for(api: httpx.AsyncClient) -> None:
    run_id = await start_run(api, NODES, *EDGES)
    close = await api.post(f"/runs/{run_id}/events/aproved")
    other = await api.post(f"/runs/{run_id}/events/go")

    assert close.json()["hint"] == "did you mean `approved`?"
    assert other.json()["hint"] == "it waits for approved, revoked, signed"


async def test_any_event_is_accepted_where_a_wait_computes_its_name(api: httpx.AsyncClient) -> None:
    nodes = {"ask": make_wait("{{ input.name }}"), "sign": make_wait("signed", schema=TEXT)}
    run_id = await start_run(api, nodes, "trigger -> ask", "ask -> sign", run_input={"name": "go"})

    assert (await api.post(f"/runs/{run_id}/events/other")).status_code == 202
    assert (await api.post(f"/runs/{run_id}/events/go")).status_code == 202
    assert (await api.post(f"/runs/{run_id}/events/signed", json="Ada")).status_code == 202
    await wait_for_status(api, run_id, "completed")


async def test_a_double_click_counts_once(api: httpx.AsyncClient) -> None:
    """Both clicks counted, and two approvals passed."""
    nodes = {"first": make_wait("go"), "second": make_wait("go")}
    run_id = await start_run(api, nodes, "trigger -> first", "first -> second")
    clicks = [
        await api.post(f"/runs/{run_id}/events/go", json=number, headers={"Idempotency-Key": key})
        for number, key in enumerate(["one", "one", "two"])
    ]
    run = await wait_for_status(api, run_id, "completed")

    assert [click.status_code for click in clicks] == [202, 202, 202]
    assert [step["output_data"]["payload"] for step in run["steps"]] == [0, 2]


async def test_a_second_answer_says_who_was_first(api: httpx.AsyncClient) -> None:
    """It was accepted, and kept for a wait that never comes."""
    nodes = {"decide": {"type": "wait", "config": {"event": ["approved", "rejected"]}}, "then": make_wait("go")}
    run_id = await start_run(api, nodes, "trigger -> decide", "decide -> then")
    key = {"Idempotency-Key": "first"}
    first = await api.post(f"/runs/{run_id}/events/rejected", json={"why": "late"}, headers=key)

    async def is_decided() -> bool:
        run = (await api.get(f"/runs/{run_id}")).json()
        return bool(run["steps"]) and run["steps"][0]["status"] == "completed"

    await wait_until(is_decided)
    again = await api.post(f"/runs/{run_id}/events/rejected", json={"why": "late"}, headers=key)
    second = await api.post(f"/runs/{run_id}/events/approved", headers={"Idempotency-Key": "second"})

    assert [first.status_code, again.status_code, second.status_code] == [202, 202, 409]
    assert second.json()["detail"].startswith("'decide' has been decided: 'rejected' came first, from local, at 20")
    assert (await api.post(f"/runs/{run_id}/events/go")).status_code == 202
    await wait_for_status(api, run_id, "completed")


async def test_an_event_that_is_sent_again_gets_the_first_answer(api: httpx.AsyncClient) -> None:
    """It was refused, because the event had ended the run, or another one the wait."""
    decide = {"type": "wait", "config": {"event": ["approved", "rejected"]}}
    first, later = {"Idempotency-Key": "first"}, {"Idempotency-Key": "later"}
    run_id = await start_run(api, {"open": make_wait("open"), "decide": decide}, "trigger -> open", "open -> decide")
    answers = [
        await api.post(f"/runs/{run_id}/events/approved", headers=first),
        await api.post(f"/runs/{run_id}/events/rejected", headers=later),
    ]
    await api.post(f"/runs/{run_id}/events/open")
    await wait_for_status(api, run_id, "completed")
    again = [
        await api.post(f"/runs/{run_id}/events/approved", headers=first),
        await api.post(f"/runs/{run_id}/events/rejected", headers=later),
    ]
    new = await api.post(f"/runs/{run_id}/events/approved", headers={"Idempotency-Key": "new"})

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.status_code for answer in again] == [202, 202]
    assert new.status_code == 409
    assert new.json()["detail"].startswith("'decide' has been decided: 'approved' came first, from local, at 20")


async def test_an_event_for_a_wait_that_may_come_again_is_kept(api: httpx.AsyncClient) -> None:
    loop = {"type": "loop", "collection": 2, "body": ["part"]}
    nodes = {"each": loop, "part": make_wait("part"), "end": make_wait("end")}
    run_id = await start_run(api, nodes, "trigger -> each", "each -> end")
    answers = [await api.post(f"/runs/{run_id}/events/part") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 202]


async def test_an_event_with_a_key_ends_the_wait_for_this_key(api: httpx.AsyncClient) -> None:
    nodes = {
        "each": {"type": "loop", "collection": [7, 8], "body": ["ask"], "config": {"max_concurrency": 2}},
        "ask": make_wait("delivered", key="{{ item }}"),
    }
    run_id = await start_run(api, nodes, "trigger -> each")
    for key in ("8", "7"):
        sent = await api.post(f"/runs/{run_id}/events/delivered", params={"key": key}, json=f"order {key}")
        assert sent.status_code == 202, sent.text
    run = await wait_for_status(api, run_id, "completed")

    payloads = {step["path"]: step["output_data"].get("payload") for step in run["steps"]}
    assert (payloads["each[0]"], payloads["each[1]"]) == ("order 7", "order 8")
