"""Render what a webhook answers: the output of the run, or the `respond` of its config."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import ExpressionError, OrchestratorError
from orchestrator.language import Env, compile_value
from orchestrator.model.run import Run
from orchestrator.model.webhook_responses import (
    HEADER_NAME,
    HEADER_VALUE,
    MAX_STATUS,
    MIN_STATUS,
    RESPOND_KEYS,
    RUN_NAMES,
    WITHOUT_BODY,
    explain_forbidden_header,
)

JSON_TYPE, TEXT_TYPE = "application/json", "text/plain; charset=utf-8"


class RunFailed(OrchestratorError):
    """The run did not complete, so that it has no output to answer with."""

    code = "run_failed"


class RespondFailed(OrchestratorError):
    """The response of this webhook cannot be made of its `respond`."""

    code = "respond_failed"


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """A response to the sender of a request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def list_run_names(respond: Any) -> set[str]:
    """Return what a `respond` reads of the run: it waits for the run if that is anything."""
    if respond == "output":
        return {"output"}
    if not isinstance(respond, Mapping):
        return set()
    roots = {name.root for name in compile_value(dict(respond)).names}
    return roots & set(RUN_NAMES)


def require_completed(run: Run, names: set[str]) -> None:
    """Raise RunFailed where a response is made of the output alone, and there is none."""
    if run.status != "completed" and names == {"output"}:
        raise RunFailed(f"run {run.id} is {run.status}: {run.error or ''}".rstrip(": "))


def render_output(output: Any) -> WebhookAnswer:
    """Return the output of a run as a response: text as it is, everything else as JSON."""
    return _make_answer(200, {}, output, null=b"null")


def render_respond(respond: Mapping[str, Any], context: Mapping[str, Any]) -> WebhookAnswer:
    """Return the response that a config describes; raises RespondFailed."""
    env = Env(context, lambda: datetime.now(UTC), lambda: str(uuid4()))
    try:
        values = compile_value({key: respond.get(key) for key in RESPOND_KEYS}).render(env)
    except ExpressionError as error:
        raise RespondFailed(f"the template of `respond` cannot be evaluated for this request: {error}") from None
    headers = {name: _read_header(name, value) for name, value in (values["headers"] or {}).items()}
    return _make_answer(_read_status(values["status"]), headers, values["body"])


def _read_status(value: Any) -> int:
    if value in (None, ""):
        return 200
    try:
        status = int(str(value))
    except ValueError:
        status = 0
    if isinstance(value, bool) or not MIN_STATUS <= status <= MAX_STATUS:
        raise RespondFailed(f"the status is not a number from {MIN_STATUS} to {MAX_STATUS}")
    return status


def _read_header(name: str, value: Any) -> str:
    reason = explain_forbidden_header(name) if HEADER_NAME.fullmatch(name) else "is not a valid name"
    if reason is not None:
        raise RespondFailed(f"the header {name[:60]!r} {reason}")
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    if not HEADER_VALUE.fullmatch(text):
        raise RespondFailed(f"the value of the header {name[:60]!r} is too long or not printable ASCII")
    return text.strip()


def _make_answer(status: int, headers: Mapping[str, str], body: Any, null: bytes = b"") -> WebhookAnswer:
    if isinstance(body, str):
        content, content_type = body.encode(), TEXT_TYPE
    elif body is None:
        content, content_type = null, JSON_TYPE
    else:
        content, content_type = json.dumps(body, ensure_ascii=False).encode(), JSON_TYPE
    listed = list(headers.items())
    if status in WITHOUT_BODY:
        return WebhookAnswer(status, tuple(listed), b"")
    if content and not any(name.lower() == "content-type" for name in headers):
        listed.append(("content-type", content_type))
    return WebhookAnswer(status, tuple(listed), content)
