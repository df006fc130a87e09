"""The request to a webhook, and the trigger data of the run that it starts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import OrchestratorError
from orchestrator.language import Env, compile_template

PRIVATE_HEADERS = ("authorization", "proxy-authorization", "cookie")
"""Headers with credentials; they are neither stored nor passed to runs."""


class MethodNotAllowed(OrchestratorError):
    """The webhook does not accept this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"this webhook does not accept {method}", hint=f"it accepts {', '.join(allowed)}")


class BodyUnreadable(OrchestratorError):
    """The body does not match its content type."""

    code = "json_syntax"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request as it was received; header names are in lower case."""

    customer_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    raw: bytes
    parse_body: Callable[[bytes], Any]
    """Parses the body by its content type; raises BodyUnreadable."""

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        return self.headers.get(name.lower())


def build_trigger_data(request: WebhookRequest) -> dict[str, Any]:
    """Return the trigger data of a run; raises BodyUnreadable."""
    headers = {name: value for name, value in request.headers.items() if name not in PRIVATE_HEADERS}
    return {
        "body": request.parse_body(request.raw),
        "headers": headers,
        "query": dict(request.query),
        "method": request.method,
        "path": request.path,
    }


def render_field(template: Any, context: Mapping[str, Any]) -> str:
    """Render a template of a webhook's config."""
    env = Env(context, lambda: datetime.now(UTC), lambda: str(uuid4()), strict="secrets" in context)
    value = compile_template(str(template)).render(env)
    return "" if value is None else str(value)
