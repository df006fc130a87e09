"""`email.send`: send an email by SMTP."""

import re
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from hashlib import sha256
from typing import Annotated, Any

import aiosmtplib
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from activities.registry import ActionContext, ActionFailed, action
from orchestrator.settings import Settings

CONNECT_SECONDS = 20.0
MAX_RECIPIENTS = 500
OWN_HEADERS = frozenset({"from", "to", "cc", "bcc", "subject", "reply-to", "message-id", "date", "content-type"})
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")


def _require_one_line(text: str) -> str:
    """Refuse line breaks: they would start another header."""
    if "\r" in text or "\n" in text:
        raise ValueError("must not contain line breaks")
    return text


def _require_address(text: str) -> str:
    address = parseaddr(_require_one_line(text))[1]
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise ValueError(f"must be an email address, not {text!r:.60}")
    return text


def _wrap_in_list(value: Any) -> Any:
    """Accept a single address, and null for none."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else value


Line = Annotated[str, AfterValidator(_require_one_line)]
Address = Annotated[str, AfterValidator(_require_address)]
Addresses = Annotated[list[Address], BeforeValidator(_wrap_in_list), Field(max_length=MAX_RECIPIENTS)]


class Mail(BaseModel):
    """Parameters of `email.send`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: Annotated[
        list[Address],
        BeforeValidator(_wrap_in_list),
        Field(description="Recipients: one address, or a list.", min_length=1, max_length=MAX_RECIPIENTS),
    ]
    cc: Addresses = Field([], description="Recipients of copies.")
    bcc: Addresses = Field([], description="Recipients of copies that no header names.")
    subject: Line = Field("", description="Subject line.")
    text: str | None = Field(None, description="Body as plain text.")
    html: str | None = Field(None, description="Body as HTML, as an alternative to `text` if both are set.")
    from_: Address | None = Field(None, alias="from", description="Sender; defaults to `ORCHESTRATOR_SMTP_FROM`.")
    reply_to: Addresses = Field([], description="Addresses for replies.")
    headers: dict[str, Line] = Field({}, description="Additional headers.")


class Sent(BaseModel):
    """Result of `email.send`."""

    message_id: str = Field(description="`Message-ID` header; the same for every attempt of a step.")
    refused: list[str] = Field([], description="Recipients that the server refused.")


@action("email.send", timeout_seconds=60, heartbeat_seconds=10)
async def send(parameters: Mail, context: ActionContext) -> Sent:
    """Send an email by SMTP. Permanent failures (5xx) are not retried, temporary ones (4xx) are."""
    settings: Settings = context.resources.settings
    message = _build_message(parameters, settings, context)
    recipients = [*parameters.to, *parameters.cc, *parameters.bcc]
    try:
        errors, _ = await aiosmtplib.send(
            message,
            recipients=[parseaddr(one)[1] for one in recipients],
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            timeout=CONNECT_SECONDS,
        )
    except aiosmtplib.SMTPTimeoutError as error:
        raise ActionFailed(
            f"the mail server did not answer within {CONNECT_SECONDS:g} s", error_type="timeout_error"
        ) from error
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _describe_refusal(error) from error
    except aiosmtplib.SMTPResponseException as error:
        details = {"code": error.code, "answer": error.message}
        message_text = f"the mail server answered {error.code} {error.message}"
        raise ActionFailed(message_text, details=details, recoverable=error.code < 500) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise ActionFailed(f"cannot reach the mail server: {error}") from error
    return Sent(message_id=str(message["Message-ID"]), refused=sorted(errors))


def _describe_refusal(error: aiosmtplib.SMTPRecipientsRefused) -> ActionFailed:
    answers = {one.recipient: f"{one.code} {one.message}" for one in error.recipients}
    temporary = any(one.code < 500 for one in error.recipients)
    message = f"the mail server refused all recipients: {', '.join(answers)}"
    return ActionFailed(message, details={"refused": answers}, recoverable=temporary)


def _build_message(mail: Mail, settings: Settings, context: ActionContext) -> EmailMessage:
    sender = mail.from_ or settings.smtp_from
    if not sender:
        raise ActionFailed(
            "the email has no sender: set `from`, or ORCHESTRATOR_SMTP_FROM",
            error_type="validation_error",
            recoverable=False,
        )
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    if mail.cc:
        message["Cc"] = ", ".join(mail.cc)
    if mail.reply_to:
        message["Reply-To"] = ", ".join(mail.reply_to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_message_id(context.idempotency_key, sender)
    for name, value in mail.headers.items():
        if name.lower() in OWN_HEADERS or not HEADER_NAME.fullmatch(name):
            raise ActionFailed(f"cannot set header {name!r:.60}", error_type="validation_error", recoverable=False)
        message[name] = value
    message.set_content(mail.text or "")
    if mail.html is not None:
        if mail.text is None:
            message.set_content(mail.html, subtype="html")
        else:
            message.add_alternative(mail.html, subtype="html")
    return message


def make_message_id(key: str, sender: str) -> str:
    """Return a message id that is the same for every attempt of a step, so that duplicates can be recognised."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    if not key:
        return make_msgid(domain=domain)
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"
