"""A request to a webhook, as the run's trigger data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import OrchestratorError
from orchestrator.language import Env, compile_template

PRIVATE_HEADERS = ("authorization", "proxy-authorization", "cookie")


class MethodNotAllowed(OrchestratorError):
    """The webhook is not called by this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"this webhook does not take {method}", hint=f"it takes {', '.join(allowed)}")


class BodyUnreadable(OrchestratorError):
    """The body is not what its content type says."""

    code = "json_syntax"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    raw: bytes
    read_body: Callable[[], Any]
    """Reads the body by its type; raises BodyUnreadable."""

    def get_header(self, name: str) -> str | None:
        """Give a header's value."""
        return self.headers.get(name.lower())


def build_trigger_data(request: WebhookRequest, body: Any) -> dict[str, Any]:
    """Give what runs see as their trigger."""
    headers = {name: value for name, value in request.headers.items() if name not in PRIVATE_HEADERS}
    return {
        "body": body,
        "headers": headers,
        "query": dict(request.query),
        "method": request.method,
        "path": request.path,
    }


def render_field(template: Any, context: Mapping[str, Any]) -> str:
    """Fill in a template of a webhook's config."""
    env = Env(context, lambda: datetime.now(UTC), lambda: str(uuid4()), strict="secrets" in context)
    value = compile_template(str(template)).render(env)
    return "" if value is None else str(value)
