"""What a webhook answers: text as text, and no header that belongs to the connection or to this server."""

from typing import Any

import pytest

from orchestrator.model.run import Run
from orchestrator.model.webhook_responses import FORBIDDEN_HEADERS
from orchestrator.service.webhooks.responses import (
    RespondFailed,
    RunFailed,
    list_run_names,
    render_output,
    render_respond,
    require_completed,
)

TEXT, JSON = ("content-type", "text/plain; charset=utf-8"), ("content-type", "application/json")
TRIGGER = {"trigger": {"body": {"challenge": "3eZbrw1aBm2r", "n": 7}, "query": {"hub.challenge": "1158201444"}}}


@pytest.mark.parametrize(
    ("output", "body", "kind"),
    [
        ("plain", b"plain", TEXT),
        ("", b"", None),
        ({"a": "\u00fc"}, '{"a": "\u00fc"}'.encode(), JSON),
        (None, b"null", JSON),
        (7, b"7", JSON),
    ],
)
def test_an_output_that_is_text_is_sent_as_text(output: Any, body: bytes, kind: Any) -> None:
    answer = render_output(output)

    assert (answer.status, answer.body, answer.headers) == (200, body, (kind,) if kind else ())


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        ({"body": "{{ trigger.body.challenge }}"}, (200, b"3eZbrw1aBm2r", (TEXT,))),
        ({"body": '{{ trigger.query["hub.challenge"] }}'}, (200, b"1158201444", (TEXT,))),
        ({"body": {"challenge": "{{ trigger.body.challenge }}"}}, (200, b'{"challenge": "3eZbrw1aBm2r"}', (JSON,))),
        ({"status": 204}, (204, b"", ())),
        ({"status": "{{ trigger.body.nothing }}"}, (200, b"", ())),
        ({"status": "20{{ trigger.body.n }}", "body": None}, (207, b"", ())),
        (
            {"headers": {"Content-Type": "text/xml", "X-N": "{{ trigger.body.n }}"}, "body": "<Response/>"},
            (200, b"<Response/>", (("Content-Type", "text/xml"), ("X-N", "7"))),
        ),
    ],
)
def test_respond_describes_a_response(respond: dict[str, Any], expected: Any) -> None:
    answer = render_respond(respond, TRIGGER)

    assert (answer.status, answer.body, answer.headers) == expected


@pytest.mark.parametrize(
    "respond",
    [
        {"status": "{{ trigger.body.challenge }}"},
        {"status": "{{ 100 }}"},
        {"status": 600},
        {"status": True},
        {"headers": {"X-A": "{{ trigger.body.bad }}\r\nSet-Cookie: a=b"}},
        {"headers": {"X-A": "\u00fc"}},
        {"headers": {"X A": "b"}},
        {"body": "{{ trigger.body | split(7, 8, 9) }}"},
        *({"headers": {name.title(): "x"}} for name in (*FORBIDDEN_HEADERS, "proxy-status", "sec-websocket-accept")),
    ],
)
def test_what_cannot_be_answered_is_refused(respond: dict[str, Any]) -> None:
    with pytest.raises(RespondFailed):
        render_respond(respond, TRIGGER)


def test_a_response_waits_for_the_run_only_if_it_reads_its_end() -> None:
    assert list_run_names("accepted") == list_run_names(None) == set()
    assert list_run_names({"body": "{{ trigger.body.challenge }}"}) == set()
    assert list_run_names("output") == {"output"}
    assert list_run_names({"body": {"s": "{{ status }}"}, "headers": {"X-E": "{{ error.message }}"}}) == {
        "status",
        "error",
    }


def test_a_run_that_failed_has_no_output_unless_the_response_reads_how_it_ended() -> None:
    run = Run(id="r", workflow_id="w", workflow_version=1, status="failed", error="no stock")

    require_completed(run, {"output", "status"})
    with pytest.raises(RunFailed, match="run r is failed: no stock"):
        require_completed(run, {"output"})
