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
