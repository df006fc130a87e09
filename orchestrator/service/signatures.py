"""Verify the HMAC signature of a webhook request."""

import hmac
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from activities.secrets import SecretSource
from orchestrator.errors import OrchestratorError
from orchestrator.language import compile_template
from orchestrator.model.permissions import WEBHOOK, describe_forbidden_action, describe_missing_secret
from orchestrator.service.webhook_request import WebhookRequest, render_field

logger = logging.getLogger(__name__)
SIGNATURE_HEADER = "X-Orchestrator-Signature"
SIGNATURE_PREFIX = "sha256="
TIMESTAMP_HEADER = "X-Orchestrator-Timestamp"
TOLERANCE_SECONDS = 300.0
TIMESTAMP = re.compile(r"[0-9]{1,13}")
TIMESTAMPED_BODY = re.compile(rb"\d{9,13}\.")


class SignatureRefused(OrchestratorError):
    """The signature of the request is missing or wrong."""

    code = "signature_refused"


class SecretMissing(OrchestratorError):
    """The secret of this webhook is not set on this server, so that no request can be verified."""

    code = "secret_missing"


async def find_signing_secret(template: Any, customer_id: str, source: SecretSource) -> str:
    """Return the secret of a webhook; raises SecretMissing.

    It is read from the secrets of the webhook's customer alone: requests could guess one that all customers share.
    """
    try:
        secrets = {}
        for name in dict.fromkeys(str(name.path[0]) for name in compile_template(str(template)).names if name.path):
            secret = await source.find(customer_id, name)
            if secret is None or secret.info.owner != customer_id:
                raise SecretMissing(describe_missing_secret(name, customer_id))
            if not secret.info.allows_action(WEBHOOK):
                raise SecretMissing(describe_forbidden_action(name, WEBHOOK))
            secrets[name] = secret.value
        signing_secret = render_field(template, {"secrets": secrets})
    except OrchestratorError as error:
        logger.error("cannot read the secret of a webhook: %s", error)  # noqa: TRY400 - the message names the secret
        raise SecretMissing from None
    if not signing_secret:
        raise SecretMissing
    return signing_secret


def check_signature(config: Mapping[str, Any], request: WebhookRequest, secret: str) -> None:
    """Raise SignatureRefused where a request is not signed with the secret of its webhook.

    The signature covers the body, or `<timestamp>.<body>` where the request has a timestamp header.
    """
    prefix = config.get("signature_prefix")
    prefix = SIGNATURE_PREFIX if prefix is None else str(prefix)
    name = get_signature_header(config)
    signature = request.get_header(name)
    if signature is None:
        raise SignatureRefused(f"missing signature header {name}")
    timestamp = _check_timestamp(config, request)
    if timestamp is None and TIMESTAMPED_BODY.match(request.raw):
        # Otherwise a signature of `<timestamp>.<body>` could be replayed as one of a body that begins so.
        raise SignatureRefused("a body that begins like a timestamp must be sent with a timestamp header")
    signed = request.raw if timestamp is None else f"{timestamp}.".encode() + request.raw
    expected = prefix + hmac.new(secret.encode(), signed, sha256).hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        what = "the body" if timestamp is None else "the timestamp, a dot and the body"
        raise SignatureRefused(f"{name} is not the signature of {what}")


def get_signature_header(config: Mapping[str, Any]) -> str:
    """Return the name of the header with the signature."""
    return str(config.get("signature_header") or SIGNATURE_HEADER)


def _check_timestamp(config: Mapping[str, Any], request: WebhookRequest) -> str | None:
    """Return the time of sending as it was sent, or `None` where it is optional and missing."""
    required = config.get("timestamp_header")
    name = str(required or TIMESTAMP_HEADER)
    timestamp = request.get_header(name)
    if timestamp is None:
        if required:
            raise SignatureRefused(f"missing timestamp header {name}")
        return None
    tolerance = float(config.get("tolerance_seconds") or TOLERANCE_SECONDS)
    if not TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused(f"{name} is not a Unix time in seconds")
    if abs(datetime.now(UTC).timestamp() - int(timestamp)) > tolerance:
        raise SignatureRefused(f"{name} is more than {tolerance:g} seconds from the current time")
    return timestamp
