"""The request to a webhook, and the trigger data of the run that it starts."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import OrchestratorError
from orchestrator.language import Env, compile_template, render_secret
from orchestrator.model.webhook_schemes import resolve_scheme
from orchestrator.service.webhooks.body import decode_body, decode_query, decompress

CREDENTIAL = re.compile(
    r"token|(?<!idempotency.)key(?!word|board)|secret|signature|auth(?!or(?!i))|passw|cookie|credential"
)
"""In the names of headers and query parameters that hold credentials: these are neither stored nor passed to runs."""
DEFAULT_MAX_BYTES = 1_048_576
LARGE_BYTES = 100_000


class MethodNotAllowed(OrchestratorError):
    """The webhook does not accept this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"this webhook does not accept {method}", hint=f"it accepts {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request as it was received; header names are in lower case."""

    customer_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    query_string: bytes
    raw: bytes = b""
    """The body as it was sent, which may be compressed."""
    max_bytes: int = DEFAULT_MAX_BYTES
    """Limit of the body, as it was sent and decompressed."""

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        return self.headers.get(name.lower())

    @property
    def is_costly(self) -> bool:
        """Return whether the body takes long to parse; a compressed one may be a thousand times as large."""
        coding = (self.get_header("content-encoding") or "identity").strip().lower()
        return coding != "identity" or len(self.raw) > LARGE_BYTES

    def decompress(self) -> bytes:
        """Return the body without its content coding; raises BodyUnreadable, CodingUnsupported and TooLarge."""
        return decompress(self.raw, self.get_header("content-encoding"), self.max_bytes)

    def iterate_bodies(self) -> Iterator[bytes]:
        """Yield what a sender may have signed: the body as it was sent, and decompressed."""
        yield self.raw
        if self.get_header("content-encoding"):
            with contextlib.suppress(OrchestratorError):  # reported once the signature is known to be right
                yield self.decompress()


def build_trigger_data(request: WebhookRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trigger data of a run, without credentials; raises BodyUnreadable."""
    charset = config.get("charset")
    body, encoding = decode_body(request.decompress(), request.get_header("content-type"), charset)
    scheme = resolve_scheme(config)
    private, kept = scheme.signature_header.lower(), scheme.idempotency_header.lower()
    return {
        "body": body,
        "body_encoding": encoding,
        "headers": {
            name: value
            for name, value in request.headers.items()
            if name == kept or (name != private and not is_credential(name))
        },
        "query": {
            name: value
            for name, value in decode_query(request.query_string, charset).items()
            if not is_credential(name)
        },
        "method": request.method,
        "path": request.path,
    }


def is_credential(name: str) -> bool:
    """Return whether a header or query parameter holds a credential, by its name."""
    return CREDENTIAL.search(name.lower()) is not None


def render_field(template: Any, context: Mapping[str, Any]) -> str:
    """Render a template of a webhook's config."""
    env = Env(context, lambda: datetime.now(UTC), lambda: str(uuid4()), strict="secrets" in context)
    value = render_secret(compile_template(str(template)), env)
    return "" if value is None else str(value)
