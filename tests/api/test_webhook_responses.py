"""What webhooks answer: verification challenges byte for byte, and responses made of the run that they start."""

import gzip
import time
from typing import Any

import httpx
import pytest

from tests.api.support import create_active_workflow, make_hook, sign, wait_for_end

pytestmark = pytest.mark.temporal
EDGES = [{"source": "trigger", "target": "done"}]


def make_end(**config: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "done", "type": "end", "config": config}], "edges": EDGES}


async def test_the_challenge_of_slack_is_answered(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    """docs.slack.dev, Request verification with `url_verification`: the challenge as plain text."""
    respond = {"body": "{{ trigger.body.challenge }}"}
    await create_active_workflow(api, "slack", make_hook("slack", scheme="slack", secret="s", respond=respond))
    body = b'{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}'
    sent = str(int(time.time()))
    signature = sign("s", f"v0:{sent}:".encode() + body).replace("sha256=", "v0=")

    answer = await hooks.post(
        "/slack",
        content=body,
        headers={
            "content-type": "application/json",
            "X-Slack-Request-Timestamp": sent,
            "X-Slack-Signature": signature,
        },
    )

    assert (answer.status_code, answer.content) == (200, b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_challenge_of_meta_is_answered(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    """developers.facebook.com, Webhooks, Validating verification requests: `hub.challenge`, after a token."""
    hook = make_hook("meta", methods=["GET"], respond={"body": '{{ trigger.query["hub.challenge"] }}'})
    await create_active_workflow(api, "meta", hook)

    answer = await hooks.get("/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock")

    assert (answer.status_code, answer.content) == (200, b"1158201444")


async def test_a_query_parameter_that_looks_like_a_credential_is_answered_and_not_kept(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    """learn.microsoft.com, Microsoft Graph change notifications: `validationToken`, decoded, as plain text."""
    await create_active_workflow(
        api, "graph", make_hook("graph", respond={"body": "{{ trigger.query.validationToken }}"})
    )

    answer = await hooks.post("/graph?validationToken=Validation%3A+Testing+client+application+%3Cb%3E")

    assert (answer.status_code, answer.text) == (200, "Validation: Testing client application <b>")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    ledger = (await api.get("/deliveries")).json()["items"]
    assert ledger[0]["received"]["query"] == {}


async def test_an_output_that_is_text_is_answered_as_text(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    more = make_end(output="{{ trigger.body.challenge }}")
    await create_active_workflow(api, "text", make_hook("text", respond="output"), **more)

    answer = await hooks.post("/text", json={"challenge": "abc"})

    assert (answer.status_code, answer.content) == (200, b"abc")


async def test_a_response_is_made_of_the_run(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    respond = {
        "status": "{{ output.code | default(500) }}",
        "headers": {"Location": "/orders/{{ output.id }}", "X-Status": "{{ status }}"},
        "body": {"message": "{{ error.message }}", "order": "{{ output.id }}"},
    }
    await create_active_workflow(
        api, "good", make_hook("good", respond=respond), **make_end(output={"code": 201, "id": 7})
    )
    await create_active_workflow(
        api, "bad", make_hook("bad", respond=respond), **make_end(outcome="failed", message="no stock")
    )

    good, bad = await hooks.post("/good"), await hooks.post("/bad")

    assert (good.status_code, good.headers["location"], good.headers["x-status"]) == (201, "/orders/7", "completed")
    assert good.json() == {"message": None, "order": 7}
    assert (bad.status_code, bad.headers["x-status"], bad.json()) == (
        500,
        "failed",
        {"message": "no stock", "order": None},
    )


async def test_a_response_that_cannot_be_made_is_an_error_of_the_workflow(
    api: httpx.AsyncClient, hooks: httpx.AsyncClient
) -> None:
    hook = make_hook("in", respond={"headers": {"X-A": "{{ trigger.body }}"}})
    await create_active_workflow(api, "one", hook)

    answer = await hooks.post("/in", content=b"a\r\nSet-Cookie: b=c", headers={"content-type": "text/plain"})

    assert (answer.status_code, answer.json()["code"]) == (502, "respond_failed")
    assert "set-cookie" not in answer.headers


async def test_a_webhook_has_a_body_limit_of_its_own(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in", max_body_bytes=10))
    bomb = gzip.compress(b"0" * 11)

    async def send_chunks() -> Any:
        yield b"0123456789"
        yield b"0"

    statuses = [
        (await hooks.post("/in", content=b"0123456789")).status_code,
        (await hooks.post("/in", content=b"0123456789A")).status_code,
        (await hooks.post("/in", content=send_chunks())).status_code,
        (await hooks.post("/in", content=bomb[:10], headers={"content-encoding": "gzip"})).status_code,
    ]

    assert statuses == [202, 413, 413, 400]
    rejected = (await api.get("/deliveries", params={"outcome": "rejected"})).json()["items"]
    assert [each["reason"] for each in rejected][1:] == ["the body is larger than 10 bytes"] * 2


async def test_a_compressed_body_starts_a_run(api: httpx.AsyncClient, hooks: httpx.AsyncClient) -> None:
    await create_active_workflow(api, "one", make_hook("in", secret="k"))
    body = gzip.compress(b'{"a": 1, "a": 2}')
    headers = {"content-type": "text/json", "content-encoding": "gzip", "X-Orchestrator-Signature": sign("k", body)}

    answer = await hooks.post("/in", content=body, headers=headers)
    unknown = await hooks.post("/in", content=body, headers={**headers, "content-encoding": "br"})

    assert (await wait_for_end(api, answer.json()["run_id"]))["context"]["seen"]["body"] == {"a": 2}
    assert (unknown.status_code, unknown.json()["code"]) == (415, "unsupported_coding")
