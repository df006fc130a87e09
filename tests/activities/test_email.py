"""`email.send` against a real SMTP server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.activities.mailbox import Mailbox, QuietController
from tests.postgres import find_free_port

MAIL = {"to": "Ann <ann@example.org>", "from": "shop@example.org", "subject": "Grüße", "text": "Hello"}


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = QuietController(box, hostname="127.0.0.1", port=find_free_port())
    controller.start()
    yield box, controller.port
    controller.stop()


async def test_an_email_is_delivered(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
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
async def test_permanent_failures_are_not_retried(
    mailbox: tuple[Mailbox, int], make_caller: Any, to: str, tried_again: bool
) -> None:
    failure = await make_caller(smtp_port=mailbox[1]).failure("email.send", {**MAIL, "to": to})

    assert failure.type == "action_error"
    assert failure.non_retryable is not tried_again


async def test_refused_recipients_are_in_the_result(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
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
        {"headers": {"Sender": "boss@example.org"}},
        {"headers": {"Content-Type": "text/html"}},
        {"headers": {"Resent-To": "x@y.z"}},
        {"headers": {"X-A": "=?utf-8?q?1=0D=0AB:_2?="}},
        {"subject": "=?utf-8?q?x=0D=0ABcc:_all=40example.org?="},
        {"subject": "=?utf-8?b?DQpCY2M6IHg=?="},
        {"subject": "=?utf-8?q?x=00?="},
        {"subject": "x\0"},
        {"subject": "x\x85y"},
        {"to": "=?utf-8?q?a=0D=0ABcc:_x=40y.z?= <a@x.org>"},
        {"from": "=?utf-8?q?a=0D=0ABcc:_x=40y.z?= <a@x.org>"},
        {"to": "=?utf-8?q?a=00b?= <a@x.org>"},
        {"to": "ann@example.org bob@example.org"},
        {"to": "ann@example.org; bob@example.org"},
        {"to": "Doe, Jane <jane@example.org>"},
        {"to": "ann@"},
        {"to": "("},
        {"to": "undisclosed:;"},
        {"to": ["ann@example.org", "bob"]},
        {"from": "a@example.org, b@example.org"},
        {"to": '"' * 50_000},
        {"subject": "x" * 50_000},
        {"to": []},
        {"from": None},
    ],
)
async def test_values_cannot_inject_headers(make_caller: Any, change: dict[str, Any]) -> None:
    failure = await make_caller(smtp_port=9).failure("email.send", {**MAIL, **change})

    assert failure.type == "validation_error"


async def test_an_unreachable_mail_server_is_retried(make_caller: Any) -> None:
    failure = await make_caller(smtp_port=find_free_port()).failure("email.send", MAIL)

    assert failure.type == "action_error"
    assert not failure.non_retryable


@pytest.mark.parametrize(
    "to",
    [
        "ann@example.org, Bob B. <bob@example.org>",
        ["ann@example.org,Bob B. <bob@example.org>"],
        "g: ann@example.org, bob@example.org;",
    ],
)
async def test_several_addresses_in_one_text_are_several_recipients(
    mailbox: tuple[Mailbox, int], make_caller: Any, to: Any
) -> None:
    """Only the first was sent to, and the step reported success."""
    box, port = mailbox

    await make_caller(smtp_port=port)("email.send", {**MAIL, "to": to})

    recipients, mail = box.mails[0]
    assert recipients == ["ann@example.org", "bob@example.org"]
    assert "bob@example.org" in mail["To"]


@pytest.mark.parametrize(
    ("sender", "allowed"),
    [
        ("a@c.example", True),
        ("Ann <A@C.example>", True),
        ("shop@example.org", True),
        ("a@d.example", False),
        ("a@c.example.evil.org", False),
        (None, True),
    ],
)
async def test_senders_are_allowed_by_customer(
    mailbox: tuple[Mailbox, int], make_caller: Any, sender: str | None, allowed: bool
) -> None:
    senders = {"c": ["*@c.example"], "d": ["*@d.example"], "*": ["shop@example.org"]}
    call = make_caller(smtp_port=mailbox[1], smtp_from="default@example.org", smtp_allowed_senders=senders)

    if allowed:
        await call("email.send", {**MAIL, "from": sender})
    else:
        assert (await call.failure("email.send", {**MAIL, "from": sender})).type == "validation_error"


async def test_allowed_headers_are_a_setting(mailbox: tuple[Mailbox, int], make_caller: Any) -> None:
    call = make_caller(smtp_port=mailbox[1], smtp_allowed_headers="Sender")

    await call("email.send", {**MAIL, "headers": {"sender": "desk@example.org"}})

    assert mailbox[0].mails[0][1]["Sender"] == "desk@example.org"
    assert (await call.failure("email.send", {**MAIL, "headers": {"X-A": "1"}})).type == "validation_error"
