"""Mail, notifications, events, data, log and SQL, each against what it is for."""

import json
import logging
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import smtp
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from activities.notify import signature
from tests.activities.conftest import Caller, Web, answer
from tests.postgres import free_port


class Mailbox:
    """Takes mail; an address says how it is answered: `busy@…`, `gone@…`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Message]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.startswith("busy"):
            return "450 try later"
        if address.startswith("gone"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
        return "250 OK"


class QuietController(Controller):
    """A server without the options whose defaults are being changed."""

    def factory(self) -> smtp.SMTP:
        return smtp.SMTP(self.handler, enable_SMTPUTF8=True, hostname="localhost")


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = QuietController(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, controller.port
    controller.stop()


MAIL = {"to": "Ann <ann@example.org>", "from": "shop@example.org", "subject": "Grüße", "text": "Hello"}


async def test_a_mail_arrives(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
    box, port = mailbox
    call = make_caller(smtp_port=port)
    more = {"cc": ["bob@example.org"], "bcc": "eve@example.org", "html": "<p>Hello</p>", "headers": {"X-Run": "r"}}

    result = await call("email.send", {**MAIL, **more, "reply_to": "desk@example.org"})

    recipients, mail = box.mails[0]
    assert recipients == ["ann@example.org", "bob@example.org", "eve@example.org"]
    assert mail["Bcc"] is None
    assert "eve" not in str(mail)
    assert mail["Reply-To"] == "desk@example.org"
    assert mail["X-Run"] == "r"
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert result == {"message_id": mail["Message-ID"], "refused": []}


async def test_every_attempt_has_the_same_message_id(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
    box, port = mailbox
    call = make_caller(smtp_port=port)

    await call("email.send", MAIL)
    await call("email.send", MAIL, attempt=2)

    first, second = (mail["Message-ID"] for _, mail in box.mails)
    assert first == second


@pytest.mark.parametrize(("to", "tried_again"), [("busy@example.org", True), ("gone@example.org", False)])
async def test_refusals_for_good_are_not_tried_again(
    mailbox: tuple[Mailbox, int], make_caller: Any, to: str, tried_again: bool
) -> None:
    failure = await make_caller(smtp_port=mailbox[1]).failure("email.send", {**MAIL, "to": to})

    assert failure.type == "action_error"
    assert failure.non_retryable is not tried_again


async def test_some_refused_recipients_are_told(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
    call = make_caller(smtp_port=mailbox[1])

    result = await call("email.send", {**MAIL, "to": ["ann@example.org", "gone@example.org"]})

    assert result["refused"] == ["gone@example.org"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "x\r\nBcc: all@example.org"},
        {"to": "ann@example.org\nBcc: x@y.z"},
        {"headers": {"X-A": "1\r\nB: 2"}},
        {"headers": {"Bcc": "x@y.z"}},
        {"headers": {"X A:": "1"}},
        {"to": []},
        {"from": None},
    ],
)
async def test_nothing_slips_into_the_headers(make_caller: Any, change: dict[str, Any]) -> None:
    failure = await make_caller(smtp_port=9).failure("email.send", {**MAIL, **change})

    assert failure.type == "validation_error"


async def test_no_mail_server_is_tried_again(make_caller: Any) -> None:
    failure = await make_caller(smtp_port=free_port()).failure("email.send", MAIL)

    assert failure.type == "action_error"
    assert not failure.non_retryable


async def test_notifications_are_signed(web: Web, call: Caller) -> None:
    web.routes["/hook"] = lambda _: answer(200)
    parameters = {"url": f"{web.url}/hook", "text": "Look", "payload": {"run": 1}, "secret": "k"}

    assert await call("notify.webhook", parameters) == {"status": 200}

    seen = web.seen[0]
    assert json.loads(seen.body) == {"run": 1, "text": "Look"}
    expected = signature("k", seen.headers["x-orchestrator-timestamp"], seen.body.decode())
    assert seen.headers["x-orchestrator-signature"] == f"sha256={expected}"
    assert seen.headers["idempotency-key"] == "r:n"


async def test_events_are_posted_with_the_step_as_their_id(web: Web, make_caller: Any) -> None:
    web.routes["/events"] = lambda _: answer(202, {})

    caller = make_caller(
        events_url=f"{web.url}/events", events_key="ork_1", http_allow_private=False, http_allowed_networks=()
    )
    result = await caller("event.emit", {"name": "order.paid", "data": {"n": 1}})

    assert web.seen[0].headers["authorization"] == "Bearer ork_1"
    assert result == {"event_id": "r:n"}
    sent = json.loads(web.seen[0].body)
    assert sent == {"id": "r:n", "name": "order.paid", "data": {"n": 1}, "customer_id": "c"}


async def test_events_without_a_place_to_go_fail(call: Caller) -> None:
    failure = await call.failure("event.emit", {"name": "order.paid"})

    assert failure.type == "execution_error"
    assert failure.non_retryable


@pytest.mark.parametrize(
    ("expression", "data", "result"),
    [
        ("a[*].b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2]),
        ("length(@)", [1, 2, 3], 3),
        ("missing", {}, None),
        ("{n: a, m: b}", {"a": 1, "b": 2}, {"n": 1, "m": 2}),
    ],
)
async def test_data_is_reshaped(call: Caller, expression: str, data: Any, result: Any) -> None:
    assert await call("data.transform", {"expression": expression, "data": data}) == {"result": result}


@pytest.mark.parametrize("expression", ["a[", "nothing(@)", "length(`5`)"])
async def test_a_bad_expression_is_not_tried_again(call: Caller, expression: str) -> None:
    failure = await call.failure("data.transform", {"expression": expression})

    assert failure.type == "execution_error"
    assert failure.non_retryable


async def test_a_message_is_logged_with_its_run(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "orchestrator.model.run"):
        assert await call("log.message", {"message": "100 % done", "level": "warning"}) == {}

    record = caplog.records[0]
    assert (record.getMessage(), record.levelname) == ("100 % done", "WARNING")
    assert record.__dict__["run_id"] == "r"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sql(request: pytest.FixtureRequest, make_caller: Any, tmp_path: Path) -> Caller:
    url = (
        SecretStr(f"sqlite+aiosqlite:///{tmp_path}/data.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres")
    )
    made: Caller = make_caller(sql_connections={"crm": url})
    return made


async def test_statements_with_bound_values(sql: Caller) -> None:
    async def ask(statement: str, **more: Any) -> Any:
        return await sql("sql.query", {"connection": "crm", "statement": statement, **more})

    await ask("drop table if exists people")
    await ask("create table people (id integer, name varchar(50))")
    sent = {"id": 1, "name": "x'; drop table people; --"}
    changed = await ask("insert into people values (:id, :name)", parameters=sent)
    found = await ask("select * from people where name = :name", parameters={"name": sent["name"]})

    assert changed == {"rows": [], "row_count": 1}
    assert found == {"rows": [sent], "row_count": 1}


async def test_more_rows_than_the_limit_fail(sql: Caller) -> None:
    statement = "select 1 as n union all select 2 union all select 3"
    asked = {"connection": "crm", "statement": statement}

    assert (await sql("sql.query", {**asked, "limit": 3}))["row_count"] == 3
    assert (await sql.failure("sql.query", {**asked, "limit": 2})).non_retryable


@pytest.mark.parametrize(
    "parameters",
    [
        {"connection": "other", "statement": "select 1"},
        {"connection": "crm", "statement": "select * from nowhere_at_all where x = {{ input.x }}"},
        {"connection": "crm", "statement": "select :missing"},
    ],
)
async def test_what_cannot_be_asked_is_not_tried_again(sql: Caller, parameters: Any) -> None:
    failure = await sql.failure("sql.query", parameters)

    assert failure.non_retryable


@pytest.mark.postgresql
async def test_dates_and_decimals_become_text(make_caller: Any, postgres: SecretStr) -> None:
    call = make_caller(sql_connections={"crm": postgres})
    statement = "select date '2026-01-02' as d, 1.50::numeric as n, 'ab'::bytea as b, array[1,2] as l"

    result = await call("sql.query", {"connection": "crm", "statement": statement})

    assert result["rows"] == [{"d": "2026-01-02", "n": "1.50", "b": "YWI=", "l": [1, 2]}]
