"""Signatures of webhooks: nothing of a request is read before its signature is checked."""

import time

import httpx
import pytest

from orchestrator.service.webhooks.handler import MAX_REJECTED
from tests.api.support import SIGNATURE, TIMESTAMP, create_active_workflow, make_hook, sign

pytestmark = pytest.mark.temporal


async def test_a_signed_webhook_rejects_everything_else(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in", secret="s3cret", tolerance_seconds=60))
    now, body = int(time.time()), b'{"a":1}'
    name, when = "X-Orchestrator-Signature", "X-Orchestrator-Timestamp"
    answers = {
        "unsigned": {},
        "wrong": {name: sign("other", body)},
        "not even ascii": {name: "sha256=\u00e4"},
        "other body": {name: sign("s3cret", b'{"a":2}')},
        "long ago": {name: sign("s3cret", body, now - 600), when: str(now - 600)},
        "no time": {name: sign("s3cret", body), when: "nan"},
        "moved time": {name: sign("s3cret", body, now - 600), when: str(now)},
        "body": {name: sign("s3cret", body)},
        "body and time": {name: sign("s3cret", body, now), when: str(now)},
    }

    status = {
        case: (await hooks.post("/in", content=body, headers={k: v.encode() for k, v in headers.items()})).status_code
        for case, headers in answers.items()
    }

    taken = {"body": 202, "body and time": 202}
    assert status == {case: taken.get(case, 401) for case in answers}


async def test_a_signature_with_a_timestamp_cannot_be_reused(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(
        api, "named", make_hook("named", secret="k", timestamp_header="X-T", tolerance_seconds=60)
    )
    await create_active_workflow(api, "plain", make_hook("plain", secret="k"))
    old, now, body = int(time.time()) - 900, int(time.time()), b'{"a":1}'
    captured = {SIGNATURE: sign("k", body, old), "content-type": "text/plain"}
    tries = {
        "honest replay": ("/named", body, {"X-T": str(old)}),
        "time moved into the body": ("/named", f"{old}.".encode() + body, {"X-T": str(now)}),
        "without its time": ("/plain", f"{old}.".encode() + body, {}),
        "with another time": ("/plain", body, {TIMESTAMP: str(now)}),
    }

    status = {
        case: (await hooks.post(path, content=sent, headers=captured | more)).status_code
        for case, (path, sent, more) in tries.items()
    }

    assert status == dict.fromkeys(tries, 401)
    bare = await hooks.post("/plain", content=body, headers={SIGNATURE: sign("k", body), TIMESTAMP: str(now)})
    assert bare.status_code == 401, "a time that is sent is signed"


async def test_a_webhook_whose_secret_is_missing_rejects_everything(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SECRET_EMPTY", "")
    for name in ("empty", "missing"):
        await create_active_workflow(api, name, make_hook(name, secret=f"{{{{ secrets.{name} }}}}"))

        answer = await hooks.post(f"/{name}", content=b"x", headers={SIGNATURE: sign("", b"x")})

        assert (answer.status_code, answer.json()["code"]) == (503, "secret_missing")
        assert name not in answer.json()["detail"]


async def test_nothing_of_a_request_is_read_before_its_signature(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    await create_active_workflow(api, "one", make_hook("in", secret="k"))
    kind = {"content-type": "application/json"}

    strange = await hooks.post("/in", content=b"{", headers=kind)
    broken = await hooks.post("/in", content=b"{", headers={**kind, SIGNATURE: sign("k", b"{")})

    assert (strange.status_code, broken.status_code, broken.json()["code"]) == (401, 400, "json_syntax")
    rejected = (await api.get("/deliveries", params={"outcome": "rejected"})).json()["items"]
    assert len(rejected) == 2


async def test_a_signed_request_that_is_sent_again_starts_nothing(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    """An attacker who recorded a signed request without a timestamp could start its run again and again."""
    await create_active_workflow(api, "once", make_hook("once", secret="k"))
    first, again = [await hooks.post("/once", content=b"x", headers={SIGNATURE: sign("k", b"x")}) for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json()["run_id"], again.json()["duplicate"]) == (first.json()["run_id"], True)


async def test_a_timestamp_is_written_in_digits(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "timed", make_hook("timed", secret="k"))
    moment = f"{time.time():.0f}"
    for odd in (f"{moment}.0", f"+{moment}", f"{moment[:3]}_{moment[3:]}", "nan", "1e9"):
        headers = {SIGNATURE: sign("k", f"{odd}.".encode() + b"x"), TIMESTAMP: odd}
        assert (await hooks.post("/timed", content=b"x", headers=headers)).status_code == 401, odd


async def test_strangers_do_not_fill_the_ledger(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "full", make_hook("full", secret="k"))
    for _ in range(MAX_REJECTED + 5):
        assert (await hooks.post("/full", content=b"x")).status_code == 401

    refused = await api.get("/deliveries", params={"outcome": "rejected", "limit": 500})
    assert len(refused.json()["items"]) == MAX_REJECTED
