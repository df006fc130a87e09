"""`http.request`: send an HTTP request."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from activities.registry import ActionContext, ActionFailed, action

MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_BODY_IN_ERROR = 2_000
"""Characters of an unexpected response that its error contains."""
RETRYABLE_STATUSES = frozenset({408, 425, 429})
"""Client errors that are retried, as 5xx are (SPEC, http.request)."""
HIDDEN_HEADERS = frozenset({"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate"})
"""Response headers that are not recorded: they may carry credentials."""

Method = Annotated[
    Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
Scalar = str | int | float | bool | None


class BasicAuth(BaseModel):
    """Basic authentication."""

    model_config = ConfigDict(extra="forbid")

    username: str
    password: str = ""


class BearerAuth(BaseModel):
    """Bearer authentication."""

    model_config = ConfigDict(extra="forbid")

    token: str


class Request(BaseModel):
    """Parameters of `http.request`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    method: Method = Field("GET", description="HTTP method.")
    url: str = Field(description="URL that begins with `http://` or `https://`.", min_length=1)
    headers: dict[str, str] = Field({}, description="Header names and values.")
    query: dict[str, Scalar | list[Scalar]] = Field({}, description="Query parameters; null values are left out.")
    json_: Any = Field(None, alias="json", description="Body, sent as JSON; null sends no body.")
    text: str | None = Field(None, description="Body, sent as it is; `headers` can name its type.")
    form: dict[str, Scalar] | None = Field(None, description="Body, sent as a form.")
    auth: BasicAuth | BearerAuth | None = Field(None, description="`{username, password}` or `{token}`.")
    timeout_seconds: float = Field(
        30.0, gt=0, le=3600, description="Longest wait, in seconds, for the server to connect or to send data."
    )
    expected_status: int | str | list[int | str] = Field(
        "2xx", description="Statuses that count as success: `200`, `[200, 404]` or `2xx`."
    )
    follow_redirects: bool = Field(True, description="Follow redirects, at most five.")

    @model_validator(mode="after")
    def _require_one_body(self) -> "Request":
        bodies = (self.json_ is not None, self.text is not None, self.form is not None)
        if sum(bodies) > 1:
            raise ValueError("must have only one of json, text and form")
        return self


class Response(BaseModel):
    """Result of `http.request`."""

    status: int = Field(description="HTTP status.")
    headers: dict[str, str] = Field(description="Response headers, with names in lower case.")
    body: Any = Field(None, description="Parsed JSON, or text if it is not JSON; null if it is empty.")


@action("http.request", timeout_seconds=60, heartbeat_seconds=10)
async def request(parameters: Request, context: ActionContext) -> Response:
    """Send an HTTP request. An unexpected status fails the step; 4xx except 408, 425 and 429 is not retried."""
    return await send_request(parameters, context, context.resources.http)


async def send_request(parameters: Request, context: ActionContext, client: httpx.AsyncClient) -> Response:
    """Send a request with a client and return its response; raises ActionFailed."""
    async with open_response(parameters, context, client) as response:
        body = await _read_body(response, context.resources.settings.http_max_response_bytes)
    content = _parse_body(body, response)
    if not _is_expected(response.status_code, parameters.expected_status):
        raise _describe_unexpected(response, content)
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() not in HIDDEN_HEADERS}
    return Response(status=response.status_code, headers=headers, body=content)


@asynccontextmanager
async def open_response(
    parameters: Request, context: ActionContext, client: httpx.AsyncClient
) -> AsyncIterator[httpx.Response]:
    """Open the response to a request; raises ActionFailed if there is none."""
    try:
        url = httpx.URL(parameters.url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _make_validation_error(f"{parameters.url[:200]!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise _make_validation_error(f"{parameters.url[:200]!r} is not a URL that begins with http:// or https://")
    try:
        outgoing = _build_request(parameters, url, context, client)
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError) as error:
        raise _make_validation_error(f"invalid request: {error}") from error
    try:
        response = await client.send(outgoing, stream=True, follow_redirects=parameters.follow_redirects)
    except httpx.HTTPError as error:
        raise _describe_no_answer(error, parameters) from error
    try:
        yield response
    except httpx.HTTPError as error:
        raise _describe_no_answer(error, parameters) from error
    finally:
        await response.aclose()


def _build_request(
    parameters: Request, url: httpx.URL, context: ActionContext, client: httpx.AsyncClient
) -> httpx.Request:
    headers = dict(parameters.headers)
    names = {name.lower() for name in headers}
    if parameters.method in ("POST", "PATCH") and "idempotency-key" not in names:
        headers["Idempotency-Key"] = context.idempotency_key
    auth = parameters.auth
    if isinstance(auth, BearerAuth):
        headers["Authorization"] = f"Bearer {auth.token}"
    query = {name: value for name, value in parameters.query.items() if value is not None}
    body: dict[str, Any] = {}
    if parameters.json_ is not None:
        body["json"] = parameters.json_
    if parameters.text is not None:
        body["content"] = parameters.text
    if parameters.form is not None:
        body["data"] = {name: value for name, value in parameters.form.items() if value is not None}
    outgoing: httpx.Request = client.build_request(
        parameters.method,
        url.copy_merge_params(query) if query else url,
        headers=headers,
        timeout=parameters.timeout_seconds,
        **body,
    )
    if isinstance(auth, BasicAuth):
        return next(httpx.BasicAuth(auth.username, auth.password).sync_auth_flow(outgoing))
    return outgoing


def _describe_no_answer(error: httpx.HTTPError, parameters: Request) -> ActionFailed:
    host = httpx.URL(parameters.url).host
    if isinstance(error, httpx.TimeoutException):
        message = f"{host} did not respond within {parameters.timeout_seconds:g} s"
        return ActionFailed(message, error_type="timeout_error", details={"host": host})
    if isinstance(error, httpx.TooManyRedirects | httpx.UnsupportedProtocol):
        return _make_validation_error(f"{host}: {error}")
    return ActionFailed(f"cannot connect to {host}: {error or type(error).__name__}", details={"host": host})


def _make_validation_error(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="validation_error", recoverable=False)


async def _read_body(response: httpx.Response, limit: int) -> bytes:
    """Return the body; raises ActionFailed if it is larger than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > limit:
            raise ActionFailed(
                f"the response is larger than {limit:,} bytes (ORCHESTRATOR_HTTP_MAX_RESPONSE_BYTES)",
                details={"status": response.status_code, "limit": limit},
                recoverable=False,
            )
        parts.append(part)
    return b"".join(parts)


def _parse_body(body: bytes, response: httpx.Response) -> Any:
    if not body:
        return None
    text = body.decode(response.charset_encoding or "utf-8", errors="replace")
    if "json" in response.headers.get("content-type", "").lower():
        try:
            return json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return text
    return text


def _is_expected(status: int, expected: int | str | list[int | str]) -> bool:
    wanted = expected if isinstance(expected, list) else [expected]
    return any(str(status) == str(one) or str(one).lower() == f"{status // 100}xx" for one in wanted)


def _describe_unexpected(response: httpx.Response, body: Any) -> ActionFailed:
    status = response.status_code
    content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return ActionFailed(
        f"{response.request.method} {response.request.url.host} answered {status} {response.reason_phrase}".rstrip(),
        details={"status": status, "body": content[:MAX_BODY_IN_ERROR]},
        recoverable=status >= 500 or status in RETRYABLE_STATUSES,
        retry_after_seconds=_read_retry_after(response.headers.get("retry-after")),
    )


def _read_retry_after(value: str | None) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
