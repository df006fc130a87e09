"""How senders of webhooks sign their requests: the table behind the checks, the verification and the docs. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

ALGORITHMS = ("sha256", "sha1", "sha512")
ENCODINGS = ("hex", "base64")
SECRET_ENCODINGS = ("text", "hex", "base64")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A placeholder of `signed`: `{body}`, `{timestamp}` or `{headers.<name>}`."""
BODY, TIMESTAMP, HEADERS = "body", "timestamp", "headers."


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a sender signs. Each field but the last two is a key of the webhook's `config` too, which replaces it."""

    signature_header: str
    signature_prefix: str | None = None
    """What precedes each signature in its header; None is the algorithm and `=`."""
    signed: str | None = None
    """What is signed; None is `{timestamp}.{body}`, or `{body}` where the request has no timestamp header."""
    timestamp_header: str = "X-Orchestrator-Timestamp"
    timestamp_key: str = ""
    """Key of the timestamp in the signature header: `t` in `t=1533204620,v1=…`."""
    idempotency_header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    secret_encoding: str = "text"  # noqa: S105 - an encoding
    secret_prefix: str = ""
    """What senders put in front of an encoded secret, and is not part of the key."""
    is_token: bool = False
    """The header holds the secret itself."""

    @property
    def prefix(self) -> str:
        """Return what precedes each signature in its header."""
        return f"{self.algorithm}=" if self.signature_prefix is None else self.signature_prefix

    @property
    def needs_timestamp(self) -> bool:
        """Return whether the time of sending is part of what is signed."""
        return self.signed is not None and TIMESTAMP in PLACEHOLDER.findall(self.signed)


GENERAL = Scheme("X-Orchestrator-Signature")
"""A webhook that names no scheme."""
SCHEMES: Mapping[str, Scheme] = {
    "github": Scheme("X-Hub-Signature-256", signed="{body}"),
    "stripe": Scheme(
        "Stripe-Signature", signature_prefix="v1=", signed="{timestamp}.{body}", timestamp_header="", timestamp_key="t"
    ),
    "slack": Scheme(
        "X-Slack-Signature",
        signature_prefix="v0=",
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Request-Timestamp",
    ),
    "shopify": Scheme("X-Shopify-Hmac-Sha256", signature_prefix="", signed="{body}", encoding="base64"),
    "standard-webhooks": Scheme(
        "webhook-signature",
        signature_prefix="v1,",
        signed="{headers.webhook-id}.{timestamp}.{body}",
        timestamp_header="webhook-timestamp",
        idempotency_header="webhook-id",
        encoding="base64",
        secret_encoding="base64",  # noqa: S106 - an encoding
        secret_prefix="whsec_",  # noqa: S106 - a prefix
    ),
    "token": Scheme("Authorization", is_token=True),
}
SCHEME_KEYS = (
    "signature_header", "signature_prefix", "signed", "timestamp_header", "timestamp_key", "idempotency_header",
    "algorithm", "encoding", "secret_encoding",
)  # fmt: skip
"""Keys of `config` that replace a field of the scheme; an empty value does not, except for a prefix."""
HMAC_KEYS = ("signed", "timestamp_header", "timestamp_key", "algorithm", "encoding", "secret_encoding")
"""Those that a token has no use for."""


def resolve_scheme(config: Mapping[str, Any]) -> Scheme:
    """Return how requests to a webhook are signed: its scheme, with what its `config` replaces."""
    scheme = SCHEMES.get(str(config.get("scheme")), GENERAL)
    given = {
        key: str(config[key])
        for key in SCHEME_KEYS
        if config.get(key) or (key == "signature_prefix" and config.get(key) == "")
    }
    if scheme.is_token and "signature_prefix" not in given:
        header = given.get("signature_header", scheme.signature_header)
        given["signature_prefix"] = "Bearer " if header.lower() == "authorization" else ""
    return replace(scheme, **given)  # type: ignore[arg-type]  # all of them are text


def list_headers(signed: str) -> list[str]:
    """Return the headers that are part of what is signed."""
    names = PLACEHOLDER.findall(signed)
    return [name.removeprefix(HEADERS) for name in names if name.startswith(HEADERS)]
