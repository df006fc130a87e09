"""Decode what a webhook is sent, by its declared content type and charset; the content itself decides nothing."""

import zlib
from base64 import b64encode
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

from activities.decoder import DEFLATE, GZIP, Decoder
from orchestrator.errors import OrchestratorError
from orchestrator.jsontools.charsets import decode_json, find_charset
from orchestrator.jsontools.json_values import MAX_DEPTH
from orchestrator.jsontools.source import JsonSyntaxError, parse_json

CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": DEFLATE}
JSON_TYPES = frozenset(
    {"application/json", "text/json", "application/x-json", "text/x-json", "application/csp-report"}
    | {"application/jsonrequest", "application/x-amz-json-1.0", "application/x-amz-json-1.1"}
)
"""Types of JSON beside `*+json`."""
FORM = "application/x-www-form-urlencoded"
TEXT_TYPES = frozenset(
    {"application/xml", "application/javascript", "application/yaml", "application/graphql", "application/sql"}
    | {"application/x-ndjson", "application/jsonl"}
)
"""Types of text beside `text/*` and `*+xml`."""
UTF_8 = "utf-8"
MAX_CONTENT_TYPE = 1_000
MAX_FIELDS = 10_000


class BodyUnreadable(OrchestratorError):
    """The body does not match its content type."""

    code = "json_syntax"


class CodingUnsupported(OrchestratorError):
    """The content coding is not supported."""

    code = "unsupported_coding"


class BodyTooLarge(OrchestratorError):
    """The body is larger than the webhook accepts."""

    code = "too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit:,} bytes")


def decompress(raw: bytes, coding: str | None, max_bytes: int) -> bytes:
    """Decode gzip and deflate (RFC 9110, 8.4.1); raises BodyUnreadable, CodingUnsupported and BodyTooLarge."""
    name = (coding or "identity").strip().lower()
    if name == "identity" or not raw:
        return raw
    if name not in CODINGS:
        raise CodingUnsupported(f"the content coding {name[:40]!r} is not supported", hint="use gzip or none")
    decoder = Decoder(CODINGS[name])
    try:
        body = decoder.decode(raw, max_bytes + 1)
    except zlib.error:
        raise BodyUnreadable(f"the body is not valid {name}") from None
    if len(body) > max_bytes:
        raise BodyTooLarge(max_bytes)
    if not decoder.complete:
        raise BodyUnreadable(f"the body is not valid {name}: its end is missing")
    return body


def decode_body(raw: bytes, content_type: str | None, default_charset: str | None) -> tuple[Any, str | None]:
    """Return the body and how it was read: `json`, `form`, `text` or `base64`; None for none.

    A body without a content type is text if it is that in the default charset. Raises BodyUnreadable.
    """
    if not raw:
        return None, None
    kind, charset = _read_content_type(content_type)
    codec = find_charset(charset) or find_charset(default_charset) or UTF_8
    if kind in JSON_TYPES or kind.endswith("+json"):
        return _parse_json(raw, charset or default_charset), "json"
    if kind == FORM:
        return _parse_form(raw, codec), "form"
    if kind.startswith("text/") or kind.endswith("+xml") or kind in TEXT_TYPES:
        return raw.decode(codec, errors="replace"), "text"
    if not kind:
        try:
            return raw.decode(codec), "text"
        except UnicodeDecodeError:
            pass
    return b64encode(raw).decode(), "base64"


def decode_query(query_string: bytes, default_charset: str | None) -> dict[str, Any]:
    """Return the parameters of a query; a repeated one is a list. What the charset cannot decode becomes U+FFFD."""
    codec = find_charset(default_charset) or UTF_8
    text = query_string.decode("latin-1")
    try:
        values = parse_qs(text, keep_blank_values=True, encoding=codec, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BodyUnreadable(f"the query cannot be read: {error}") from None
    return _flatten(values)


def _read_content_type(header: str | None) -> tuple[str, str | None]:
    """Return the type in lower case, empty without one, and the declared charset."""
    if not header:
        return "", None
    message = Message()
    message["Content-Type"] = header[:MAX_CONTENT_TYPE]
    charset = message.get_param("charset")
    return header.partition(";")[0].strip().lower(), charset if isinstance(charset, str) else None


def _parse_json(raw: bytes, charset: str | None) -> Any:
    try:
        # The last of doubled keys wins, as in the tools of senders.
        return parse_json(decode_json(raw, charset), MAX_DEPTH).value
    except UnicodeDecodeError as error:
        raise BodyUnreadable(f"the body is not valid {error.encoding} at byte {error.start}") from None
    except JsonSyntaxError as error:
        raise BodyUnreadable(f"{error.where}: {error.message}" + (f" ({error.hint})" if error.hint else "")) from None


def _parse_form(raw: bytes, codec: str) -> dict[str, Any]:
    try:
        text = raw.decode(codec)
        values = parse_qs(text, keep_blank_values=True, encoding=codec, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError as error:
        raise BodyUnreadable(f"the form is not valid {codec}: {error.reason}") from None
    except ValueError as error:
        raise BodyUnreadable(f"the form cannot be read: {error}") from None
    return _flatten(values)


def _flatten(values: Mapping[str, list[str]]) -> dict[str, Any]:
    return {name: items[0] if len(items) == 1 else items for name, items in values.items()}
