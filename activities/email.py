"""`email.send`: send an email by SMTP."""

import re
from collections.abc import Iterable
from email import policy
from email.errors import MessageError, NonASCIILocalPartDefect, ObsoleteHeaderDefect
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Any

import aiosmtplib
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from activities.registry import ADDRESSES, RECIPIENTS, ActionContext, ActionFailed, action
from orchestrator.settings import Settings

CONNECT_SECONDS = 20.0
MAX_RECIPIENTS = 500
MAX_LINE = 2_000
"""Characters of one header; the library's parser takes quadratic time."""
MAX_ADDRESSES = 20_000
"""Characters of all addresses in one parameter, for the same reason."""
MAX_HEADERS = 50
MAX_SHOWN = 60
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
HARMLESS_DEFECTS = (ObsoleteHeaderDefect, NonASCIILocalPartDefect)


def _require_one_line(text: str) -> str:
    """Refuse control characters, including those that encoded words decode to: a line break starts another header."""
    header = _parse_header("Subject", text)
    if CONTROL.search(text) or CONTROL.search(str(header)):
        raise ValueError("must not contain line breaks or other control characters")
    return text


def _parse_header(name: str, text: str) -> Any:
    """Return a header as the library parses it; raises ValueError."""
    if len(text) > MAX_LINE:
        raise ValueError(f"must have at most {MAX_LINE:,} characters")
    try:
        return policy.default.header_factory(name, text)
    except (ValueError, LookupError, MessageError, RecursionError):  # the library's parser fails in all these ways
        raise ValueError("is not a valid header") from None


def _split_addresses(value: Any) -> Any:
    """Return a list of single addresses: of one text, which may hold several, of a list of such texts, or of null."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return [] if value is None else value
    if sum(map(len, texts)) > MAX_ADDRESSES:
        raise ValueError(f"must have at most {MAX_ADDRESSES:,} characters")
    return [address for text in texts if text.strip() for address in _parse_addresses(text)]


def _parse_addresses(text: str) -> list[str]:
    header = _parse_header("To", text)
    addresses = [str(address) for address in header.addresses]
    bad = any(not isinstance(defect, HARMLESS_DEFECTS) for defect in header.defects)
    if bad or not all(ADDRESS.fullmatch(address.addr_spec) for address in header.addresses):
        raise ValueError(f"must be an email address{_show_short(text)}; separate several by commas, or use a list")
    if CONTROL.search(text) or any(map(CONTROL.search, addresses)):
        raise ValueError("must not contain line breaks or other control characters")
    return addresses


def _show_short(text: str) -> str:
    """Return a text for a message; none of a long one, which might cut a secret before it is redacted."""
    return f", not {text!r}" if len(text) <= MAX_SHOWN else ""


def _require_single_address(text: str) -> str:
    addresses = _parse_addresses(text)
    if len(addresses) != 1:
        raise ValueError("must be a single email address")
    return addresses[0]


def _get_mailbox(address: str) -> str:
    """Return an address without its display name."""
    return str(policy.default.header_factory("To", address).addresses[0].addr_spec)


Line = Annotated[str, AfterValidator(_require_one_line)]
Address = Annotated[str, AfterValidator(_require_single_address)]
Addresses = Annotated[
    list[str],
    BeforeValidator(_split_addresses, json_schema_input_type=list[str] | str),
    Field(max_length=MAX_RECIPIENTS, json_schema_extra=RECIPIENTS),
]
Replies = Annotated[
    list[str],
    BeforeValidator(_split_addresses, json_schema_input_type=list[str] | str),
    Field(max_length=MAX_RECIPIENTS, json_schema_extra=ADDRESSES),
]


class Mail(BaseModel):
    """Parameters of `email.send`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: Annotated[
        list[str],
        BeforeValidator(_split_addresses, json_schema_input_type=list[str] | str),
        Field(
            description="Recipients: a list of addresses, or a text of addresses separated by commas.",
            min_length=1,
            max_length=MAX_RECIPIENTS,
            json_schema_extra=RECIPIENTS,
        ),
    ]
    cc: Addresses = Field([], description="Recipients of copies.")
    bcc: Addresses = Field([], description="Recipients of copies that no header names.")
    subject: Line = Field("", description="Subject line.")
    text: str | None = Field(None, description="Body as plain text.")
    html: str | None = Field(None, description="Body as HTML, as an alternative to `text` if both are set.")
    from_: Address | None = Field(
        None,
        alias="from",
        json_schema_extra=ADDRESSES,
        description="Sender, as far as `ORCHESTRATOR_SMTP_ALLOWED_SENDERS` allows it; "
        "defaults to `ORCHESTRATOR_SMTP_FROM`.",
    )
    reply_to: Replies = Field([], description="Addresses for replies.")
    headers: dict[str, Line] = Field(
        {},
        max_length=MAX_HEADERS,
        description="Additional headers, as far as `ORCHESTRATOR_SMTP_ALLOWED_HEADERS` allows them.",
    )


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
            recipients=[_get_mailbox(one) for one in recipients],
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
        raise _make_validation_error("the email has no sender: set `from`, or ORCHESTRATOR_SMTP_FROM")
    if mail.from_ is not None:
        _require_allowed_sender(mail.from_, settings, context)
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
        if not HEADER_NAME.fullmatch(name) or not _matches_any(name, settings.smtp_allowed_headers):
            raise _make_validation_error(
                f"cannot set header {name!r:.60}: ORCHESTRATOR_SMTP_ALLOWED_HEADERS "
                f"allows {', '.join(settings.smtp_allowed_headers) or 'none'}"
            )
        message[name] = value
    message.set_content(mail.text or "")
    if mail.html is not None:
        if mail.text is None:
            message.set_content(mail.html, subtype="html")
        else:
            message.add_alternative(mail.html, subtype="html")
    return message


def _require_allowed_sender(sender: str, settings: Settings, context: ActionContext) -> None:
    """Raise ActionFailed for a sender that settings do not allow to the run's customer; without any, all may be."""
    allowed = settings.smtp_allowed_senders
    if not allowed:
        return
    patterns = [*allowed.get(context.customer_id, ()), *allowed.get("*", ())]
    if not _matches_any(_get_mailbox(sender), patterns):
        raise _make_validation_error(
            "this customer may not send from this address: ORCHESTRATOR_SMTP_ALLOWED_SENDERS "
            f"allows {', '.join(patterns) or 'none'}"
        )


def _matches_any(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def _make_validation_error(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="validation_error", recoverable=False)


def make_message_id(key: str, sender: str) -> str:
    """Return a message id that is the same for every attempt of a step, so that duplicates can be recognised."""
    domain = _get_mailbox(sender).rpartition("@")[2] or "localhost"
    if not key:
        return make_msgid(domain=domain)
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"
