"""Verify who has sent a request to a webhook: by an HMAC of what the sender signs, or by a token."""

import binascii
import hmac
import logging
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from activities.secrets import SecretSource
from orchestrator.errors import OrchestratorError
from orchestrator.language import compile_template
from orchestrator.model.permissions import WEBHOOK, describe_forbidden_action, describe_missing_secret
from orchestrator.model.webhook_schemes import BODY, ENCODINGS, HEADERS, PLACEHOLDER, TIMESTAMP, Scheme, resolve_scheme
from orchestrator.service.webhooks.request import WebhookRequest, render_field

logger = logging.getLogger(__name__)
TOLERANCE_SECONDS = 300.0
UNIX_TIME = re.compile(r"[0-9]{1,13}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
MIN_MILLISECONDS = 10**11
"""From this number on a time is in milliseconds: in seconds it would be in the year 5138."""
TIMESTAMPED_BODY = re.compile(rb"(?:\d{9,13}|%s)\." % RFC3339.pattern.encode())
HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
MAX_SIGNATURES = 20
"""Signatures of one request that are compared; senders send one for each of their secrets."""


class SignatureRefused(OrchestratorError):
    """The signature of the request is missing or wrong."""

    code = "signature_refused"


class SecretMissing(OrchestratorError):
    """The secret of this webhook is not set on this server, so that no request can be verified."""

    code = "secret_missing"


async def find_signing_keys(config: Mapping[str, Any], customer_id: str, source: SecretSource) -> list[bytes]:
    """Return the keys of a webhook: of each of its secrets that is set; raises SecretMissing if none is.

    They are read from the secrets of the webhook's customer alone: requests could guess one that all customers share.
    """
    secret, scheme = config["secret"], resolve_scheme(config)
    keys = []
    for template in secret if isinstance(secret, list) else [secret]:
        try:
            text = await _find_secret(template, customer_id, source)
            keys.append(_decode_key(text, scheme))
        except OrchestratorError as error:  # while secrets are rotated, one of two may be gone already
            logger.error("cannot read the secret of a webhook: %s", error)  # noqa: TRY400 - the message names the secret
    if not keys:
        raise SecretMissing
    return keys


async def _find_secret(template: Any, customer_id: str, source: SecretSource) -> str:
    secrets = {}
    for name in dict.fromkeys(str(name.path[0]) for name in compile_template(str(template)).names if name.path):
        secret = await source.find(customer_id, name)
        if secret is None or secret.info.owner != customer_id:
            raise SecretMissing(describe_missing_secret(name, customer_id))
        if not secret.info.allows_action(WEBHOOK):
            raise SecretMissing(describe_forbidden_action(name, WEBHOOK))
        secrets[name] = secret.value
    return render_field(template, {"secrets": secrets})


def _decode_key(secret: str, scheme: Scheme) -> bytes:
    """Return the key that a secret encodes; raises SecretMissing without its text."""
    if not scheme.is_token and scheme.secret_encoding in ENCODINGS:
        key = _decode(secret.strip().removeprefix(scheme.secret_prefix), scheme.secret_encoding)
    else:
        key = secret.encode()
    if key is None:
        raise SecretMissing(f"it is not {scheme.secret_encoding}")
    if not key:
        raise SecretMissing("it is empty")
    return key


def verify_request(
    config: Mapping[str, Any], request: WebhookRequest, keys: Sequence[bytes], now: datetime
) -> str | None:
    """Return what identifies a signed request, or None where a token says nothing of it; raises SignatureRefused.

    It is a digest of what was signed and not of the signature, of which a request that was recorded could be sent
    again in another form.
    """
    scheme = resolve_scheme(config)
    header = request.get_header(scheme.signature_header)
    if header is None:
        raise SignatureRefused(f"missing signature header {scheme.signature_header}")
    if scheme.is_token:
        _check_token(header, scheme, keys)
        return None
    signatures = _list_signatures(header, scheme)
    timestamp = _check_timestamp(config, request, header, scheme, now)
    for body in request.iterate_bodies():
        if timestamp is None and scheme.signed is None and TIMESTAMPED_BODY.match(body):
            # Otherwise a signature of `<timestamp>.<body>` could be replayed as one of a body that begins so.
            raise SignatureRefused("a body that begins like a timestamp must be sent with a timestamp header")
        signed = _build_signed(scheme, request, timestamp, body)
        for key in keys:
            expected = hmac.new(key, signed, scheme.algorithm).digest()
            if any(hmac.compare_digest(signature, expected) for signature in signatures):
                return sha256(signed).hexdigest()
    what = scheme.signed or ("{body}" if timestamp is None else "{timestamp}.{body}")
    raise SignatureRefused(f"{scheme.signature_header} is not the {scheme.algorithm} signature of `{what}`")


def _check_token(header: str, scheme: Scheme, keys: Sequence[bytes]) -> None:
    token = header.removeprefix(scheme.prefix).encode("latin-1", "replace")
    if not header.startswith(scheme.prefix) or not any(hmac.compare_digest(token, key) for key in keys):
        raise SignatureRefused(f"{scheme.signature_header} does not hold the token of this webhook")


def _list_signatures(header: str, scheme: Scheme) -> list[bytes]:
    """Return the signatures in a header: several are separated by commas, semicolons or spaces."""
    pieces = re.findall(rf'(?:^|[\s,;]){re.escape(scheme.prefix)}"?([^\s,;"]+)', header)
    decoded = [_decode(piece, scheme.encoding) for piece in pieces[:MAX_SIGNATURES]]
    signatures = [each for each in decoded if each is not None]
    if not signatures:
        begins = f" that begins with {scheme.prefix!r:.60}" if scheme.prefix else ""
        raise SignatureRefused(f"{scheme.signature_header} holds no {scheme.encoding} signature{begins}")
    return signatures


def _decode(text: str, encoding: str) -> bytes | None:
    """Decode hexadecimal digits of either case, or base64 of either alphabet, padded or not."""
    if encoding == "hex":
        return bytes.fromhex(text) if HEX.fullmatch(text) else None
    bare = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _build_signed(scheme: Scheme, request: WebhookRequest, timestamp: str | None, body: bytes) -> bytes:
    """Return what the sender has signed."""
    if scheme.signed is None:
        return body if timestamp is None else f"{timestamp}.".encode() + body
    return b"".join(_iterate_parts(scheme.signed, request, timestamp, body))


def _iterate_parts(signed: str, request: WebhookRequest, timestamp: str | None, body: bytes) -> Iterator[bytes]:
    for index, part in enumerate(PLACEHOLDER.split(signed)):
        if index % 2 == 0:
            yield part.encode()
        elif part == BODY:
            yield body
        elif part == TIMESTAMP:
            yield (timestamp or "").encode()
        else:
            name = part.removeprefix(HEADERS)
            value = request.get_header(name)
            if value is None:
                raise SignatureRefused(f"missing header {name}, which is part of what is signed")
            yield value.encode("latin-1", "replace")


def _check_timestamp(
    config: Mapping[str, Any], request: WebhookRequest, signature: str, scheme: Scheme, now: datetime
) -> str | None:
    """Return the time of sending as it was sent, or `None` where it is optional and missing, or not signed."""
    if scheme.signed is not None and not scheme.needs_timestamp:
        return None
    if scheme.timestamp_key:
        name = f"`{scheme.timestamp_key}` in {scheme.signature_header}"
        found = re.search(rf"(?:^|[\s,;]){re.escape(scheme.timestamp_key)}=\"?([^\s,;\"]+)", signature)
        timestamp = found[1] if found else None
    else:
        name = scheme.timestamp_header
        timestamp = request.get_header(name)
    if timestamp is None:
        if scheme.needs_timestamp or scheme.timestamp_key or config.get("timestamp_header"):
            raise SignatureRefused(f"missing timestamp {name}")
        return None
    tolerance = float(config.get("tolerance_seconds") or TOLERANCE_SECONDS)
    moment = _parse_time(timestamp)
    if moment is None:
        raise SignatureRefused(f"{name} is not a Unix time in seconds or milliseconds, nor an RFC 3339 time")
    if abs(now.timestamp() - moment) > tolerance:
        raise SignatureRefused(f"{name} is more than {tolerance:g} seconds from the current time")
    return timestamp


def _parse_time(text: str) -> float | None:
    """Return a time as Unix time in seconds."""
    if UNIX_TIME.fullmatch(text):
        number = int(text)
        return number / 1_000 if number >= MIN_MILLISECONDS else number
    try:
        return datetime.fromisoformat(text.upper()).timestamp() if RFC3339.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None
