"""An SMTP server on loopback that stores the mail it accepts."""

from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd import smtp
from aiosmtpd.controller import Controller


class Mailbox:
    """Accepts mail; the recipient chooses the reply: `busy@…`, `gone@…`."""

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
    """A server without the options whose defaults are being changed; it has a minute to start."""

    def __init__(self, box: Mailbox, **options: Any) -> None:
        super().__init__(box, ready_timeout=60, **options)

    def factory(self) -> smtp.SMTP:
        return smtp.SMTP(self.handler, enable_SMTPUTF8=True, hostname="localhost")
