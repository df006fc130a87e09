"""The request to a webhook, and the trigger data of the run that it starts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import OrchestratorError
from orchestrator.language import Env, compile_template
from orchestrator.service.webhook_body import decode_body, decode_query

CREDENTIAL = re.compile(
    r"token|(?<!idempotency.)key(?!word|board)|secret|signature|auth(?!or(?!i))|passw|cookie|credential"
)
"""In the names of headers and query parameters that hold credentials: these are neither stored nor passed to runs."""


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
    raw: bytes

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        return self.headers.get(name.lower())


def build_trigger_data(request: WebhookRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trigger data of a run, without credentials; raises BodyUnreadable."""
    charset = config.get("charset")
    body, encoding = decode_body(request.raw, request.get_header("content-type"), charset)
    private = str(config.get("signature_header") or "").lower()
    kept = str(config.get("idempotency_header") or "").lower()
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
    value = compile_template(str(template)).render(env)
    return "" if value is None else str(value)
