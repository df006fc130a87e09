"""`http.request`: send an HTTP request."""

import json
import math
import re
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, NoReturn

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from activities.decoder import DEFLATE, GZIP, Decoder
from activities.registry import FROM_OUTSIDE, URL, ActionContext, ActionFailed, action
from activities.resources import BOUND_SECRETS
from orchestrator.jsontools.charsets import decode_json, find_charset
from orchestrator.jsontools.json_values import MAX_DEPTH, is_deeper

MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_BODY_IN_ERROR = 2_000
"""Characters of an unexpected response that its error contains."""
RETRYABLE_STATUSES = frozenset({408, 425, 429})
"""Client errors that are retried, as 5xx are (SPEC, http.request)."""
HIDDEN_HEADERS = frozenset({"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate"})
"""Response headers that are not recorded: they may carry credentials."""
FORBIDDEN_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te"),
        *("trailer", "upgrade", "expect", "proxy-authorization"),
    )
)
"""Request headers that belong to the connection: another framing or host would be another request (RFC 9110, 7.6.1)."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": DEFLATE}
"""Content codings, each with what zlib calls its window bits."""
ACCEPT_ENCODING = "gzip, deflate"
MAX_REDIRECTS = 5
MAX_CODING_OVERHEAD = 65_536
"""Bytes that a coded body may be larger than what it decodes to."""

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
    url: str = Field(description="URL that begins with `http://` or `https://`.", min_length=1, json_schema_extra=URL)
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
    follow_redirects: bool = Field(True, description="Follow redirects, at most five. Cookies are not kept.")

    @model_validator(mode="after")
    def _require_one_body(self) -> "Request":
        bodies = (self.json_ is not None, self.text is not None, self.form is not None)
        if sum(bodies) > 1:
            raise ValueError("must have only one of json, text and form")
        return self


class Response(BaseModel):
    """Result of `http.request`."""

    status: int = Field(description="HTTP status.")
    headers: dict[str, str] = Field(
        description="Response headers, with names in lower case.", json_schema_extra=FROM_OUTSIDE
    )
    body: Any = Field(
        None,
        description="Parsed JSON, or text if it is not JSON; null if it is empty.",
        json_schema_extra=FROM_OUTSIDE,
    )


@action("http.request", timeout_seconds=60, heartbeat_seconds=10)
async def request(parameters: Request, context: ActionContext) -> Response:
    """Send an HTTP request. An unexpected status fails the step; 4xx except 408, 425 and 429 is not retried."""
    return await send_request(parameters, context, context.resources.http)


async def send_request(parameters: Request, context: ActionContext, client: httpx.AsyncClient) -> Response:
    """Send a request with a client and return its response; raises ActionFailed."""
    async with open_response(parameters, context, client) as response:
        body = await _read_body(response, context.resources.settings.http_max_response_bytes)
    content = _parse_body(body, response, context)
    if not _is_expected(response.status_code, parameters.expected_status):
        raise _describe_unexpected(response, content, context)
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() not in HIDDEN_HEADERS}
    return Response(status=response.status_code, headers=headers, body=content)


@asynccontextmanager
async def open_response(
    parameters: Request, context: ActionContext, client: httpx.AsyncClient
) -> AsyncIterator[httpx.Response]:
    """Open the response to a request; raises ActionFailed if there is none."""
    shown = context.redact(parameters.url)[:200]
    try:
        url = httpx.URL(parameters.url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _make_validation_error(f"{shown!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise _make_validation_error(f"{shown!r} is not a URL that begins with http:// or https://")
    try:
        outgoing = _build_request(parameters, url, context, client)
        outgoing.extensions[BOUND_SECRETS] = context.bound_secrets
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError) as error:
        raise _make_validation_error(f"invalid request: {error}") from error
    try:
        response = await _send(outgoing, client, follow_redirects=parameters.follow_redirects)
    except httpx.HTTPError as error:
        raise _describe_no_answer(error, parameters) from error
    try:
        yield response
    except httpx.HTTPError as error:
        raise _describe_no_answer(error, parameters) from error
    finally:
        await response.aclose()


async def _send(outgoing: httpx.Request, client: httpx.AsyncClient, *, follow_redirects: bool) -> httpx.Response:
    """Send a request and follow redirects; httpx itself would read the body of each, however large it is."""
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(outgoing, stream=True, follow_redirects=False)
        if not follow_redirects or response.next_request is None:
            return response
        await response.aclose()
        outgoing = response.next_request
    raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=outgoing)


def _build_request(
    parameters: Request, url: httpx.URL, context: ActionContext, client: httpx.AsyncClient
) -> httpx.Request:
    headers = dict(parameters.headers)
    names = {name.lower() for name in headers}
    if "accept-encoding" not in names:
        headers["Accept-Encoding"] = ACCEPT_ENCODING
    if parameters.method in ("POST", "PATCH") and "idempotency-key" not in names:
        headers["Idempotency-Key"] = context.idempotency_key
    auth = parameters.auth
    if isinstance(auth, BearerAuth):
        headers["Authorization"] = f"Bearer {auth.token}"
    headers = {name: value.strip(" \t") for name, value in headers.items()}
    for name, value in headers.items():
        _check_header(name, value)
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


def _check_header(name: str, value: str) -> None:
    """Raise ValueError for a header that would break the request, or that belongs to the connection."""
    if not HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is not the name of a header")
    if name.lower() in FORBIDDEN_HEADERS:
        raise ValueError(f"header {name} cannot be set: it is a connection-level header")
    if not HEADER_VALUE.fullmatch(value):
        raise ValueError(f"header {name} must be printable ASCII, without line breaks")


def _describe_no_answer(error: httpx.HTTPError, parameters: Request) -> ActionFailed:
    host = httpx.URL(parameters.url).host
    if isinstance(error, httpx.TimeoutException):
        message = f"{host} did not respond within {parameters.timeout_seconds:g} s"
        return ActionFailed(message, error_type="timeout_error", details={"host": host})
    if isinstance(error, httpx.TooManyRedirects | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return _make_validation_error(f"{host}: {error}")
    return ActionFailed(f"cannot connect to {host}: {error or type(error).__name__}", details={"host": host})


def _make_validation_error(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="validation_error", recoverable=False)


async def _read_body(response: httpx.Response, limit: int) -> bytes:
    """Return the decoded body; raises ActionFailed if it is larger than `limit` bytes.

    At most one coding is decoded, piece by piece, and never more of it than the limit: a few kilobytes of gzip within
    gzip decode to gigabytes.
    """
    decoder = _choose_decoder(response)
    parts: list[bytes] = []
    size = received = 0
    async for part in response.aiter_raw():
        received += len(part)
        if decoder is not None:
            try:
                part = decoder.decode(part, limit + 1 - size)
            except zlib.error as error:
                raise ActionFailed(f"the response is not valid {_get_coding(response)}: {error}") from error
        size += len(part)
        if size > limit or received > limit + MAX_CODING_OVERHEAD:
            raise ActionFailed(
                f"the response is larger than {limit:,} bytes (ORCHESTRATOR_HTTP_MAX_RESPONSE_BYTES)",
                details={"status": response.status_code, "limit": limit},
                recoverable=False,
            )
        parts.append(part)
    if decoder is not None and received and not decoder.complete:
        raise ActionFailed(f"the {_get_coding(response)}-compressed response is truncated")
    return b"".join(parts)


def _get_coding(response: httpx.Response) -> str:
    codings = (part.strip().lower() for part in response.headers.get("content-encoding", "").split(","))
    return ", ".join(part for part in codings if part not in ("", "identity"))


def _choose_decoder(response: httpx.Response) -> Decoder | None:
    coding = _get_coding(response)
    if not coding:
        return None
    if coding not in CODINGS:
        raise ActionFailed(
            f"unsupported content encoding {coding:.60}; supported: gzip or deflate",
            details={"status": response.status_code},
            recoverable=False,
        )
    return Decoder(CODINGS[coding])


def _parse_body(body: bytes, response: httpx.Response, context: ActionContext) -> Any:
    """Return the body as JSON if it is that, else as text; raises ActionFailed for JSON that is nested too deeply."""
    if not body:
        return None
    charset = response.charset_encoding
    if "json" not in response.headers.get("content-type", "").lower():
        return body.decode(find_charset(charset) or "utf-8", errors="replace")
    text = decode_json(body, charset, errors="replace")
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_read_float)
    except RecursionError:
        raise _describe_depth(response) from None
    except json.JSONDecodeError:
        return text
    except ValueError as error:
        context.warn(f"the body is not JSON, so it is text: {error}")
        return text
    if is_deeper(value, MAX_DEPTH):
        raise _describe_depth(response)
    return value


def _describe_depth(response: httpx.Response) -> ActionFailed:
    return ActionFailed(
        f"the response is nested deeper than {MAX_DEPTH} levels",
        details={"status": response.status_code},
        recoverable=False,
    )


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text:.40} is not a number of JSON")


def _read_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _is_expected(status: int, expected: int | str | list[int | str]) -> bool:
    wanted = expected if isinstance(expected, list) else [expected]
    return any(str(status) == str(one) or str(one).lower() == f"{status // 100}xx" for one in wanted)


def _describe_unexpected(response: httpx.Response, body: Any, context: ActionContext) -> ActionFailed:
    status = response.status_code
    content = context.redact(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False))
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
