"""Every error of the API, as problem details (RFC 9457): which code has which status."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import TooManyRequests
from orchestrator.errors import DefinitionInvalid, OrchestratorError
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.service.webhook_request import MethodNotAllowed

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS = {
    "unauthorized": 401,
    "signature_refused": 401,
    "forbidden": 403,
    "workflow_not_found": 404,
    "run_not_found": 404,
    "delivery_not_found": 404,
    "key_not_found": 404,
    "method_not_allowed": 405,
    "workflow_exists": 409,
    "webhook_taken": 409,
    "operation_refused": 409,
    "edit_conflict": 412,
    "definition_invalid": 422,
    "bad_cron": 422,
    "bad_cursor": 422,
    "too_many_requests": 429,
    "json_syntax": 400,
    "too_large": 413,
    "value_refused": 422,
    "secret_missing": 503,
    "server_unavailable": 503,
    "store_unavailable": 503,
    "store_outdated": 503,
}
"""HTTP status by the error's code; any other is a fault of ours."""

TITLES = {
    400: "The body is no JSON",
    401: "A key is needed",
    403: "The key does not allow this",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused as things stand",
    412: "It has changed since you read it",
    413: "The body is too large",
    415: "The body is not of a known type",
    422: "The request has mistakes",
    502: "The run did not complete",
    429: "Too many requests",
    500: "A fault of ours",
    503: "Something we need does not answer",
}
NOT_AN_OBJECT = "the body is an object"
NOT_JSON = "a body is JSON, and says so: content-type: application/json"


class StreamEnded(Exception):
    """A stream has been read to its end: 204 keeps a browser from asking again and again."""


class Mistake(BaseModel):
    """One thing wrong with a request."""

    severity: str = Field("error", examples=["error"])
    code: str = Field(examples=["unknown_action"])
    path: str = Field(description="JSON Pointer into the body, or the name of a parameter.", examples=["/nodes/0/type"])
    message: str
    hint: str | None = None


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", description="A URI reference that names the kind of problem.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name, for programs.", examples=["workflow_not_found"])
    hint: str | None = None
    errors: list[Mistake] = Field([], description="All mistakes, where there are several.")


def describe_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that an operation may answer with, for OpenAPI."""
    reference = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": reference}}} for status in statuses
    }


def make_problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str | None = None,
    errors: Sequence[Any] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Make an answer."""
    document = ProblemDetails(
        type=f"/problems/{code}",
        title=TITLES.get(status, "Refused"),
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        errors=[Mistake.model_validate(each) for each in errors],
    )
    return JSONResponse(jsonable_encoder(document), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of an application in this form."""
    app.add_exception_handler(OrchestratorError, _handle_our_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(StreamEnded, _handle_end_of_stream)
    app.add_middleware(UnhandledErrors)


async def _handle_our_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, OrchestratorError):
        raise error
    status = STATUS.get(error.code, 500)
    errors = [each.to_json() for each in error.problems] if isinstance(error, DefinitionInvalid) else []
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.seconds)
    if status == 503:
        headers["Retry-After"] = "1"
    if status >= 500:
        logger.error("%s %s: %s", request.method, request.url.path, error, exc_info=error if status == 500 else None)
    return make_problem(status, error.code, error.message, hint=error.hint, errors=errors, headers=headers)


async def _handle_invalid_request(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors_found = error.errors()
    if any(each["type"] == "json_invalid" for each in errors_found):
        each = errors_found[0]
        detail = f"{each.get('ctx', {}).get('error', each['msg'])} at character {each['loc'][-1]}"
        return make_problem(400, "json_syntax", detail)
    mistakes = [
        {
            "code": each["type"],
            "path": _format_location(each["loc"]),
            "message": NOT_AN_OBJECT if each["type"] in ("model_attributes_type", "model_type") else each["msg"],
            "hint": each.get("ctx", {}).get("hint"),
        }
        for each in errors_found
    ]
    detail = "; ".join(f"{each['path'] or '/'}: {each['message']}" for each in mistakes[:3])
    content_type = request.headers.get("content-type", "")
    no_json = "json" not in content_type and any(each["loc"][:1] == ("body",) for each in errors_found)
    hint = NOT_JSON if no_json else mistakes[0]["hint"]
    return make_problem(422, "bad_request", detail, hint=hint, errors=mistakes)


def _format_location(location: Sequence[Any]) -> str:
    source, *rest = location or ("",)
    if source == "body":
        return format_pointer(rest)
    return " ".join(str(part) for part in (source, *rest))


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    codes = {400: "json_syntax", 404: "no_such_address", 405: "method_not_allowed", 413: "too_large", 502: "run_failed"}
    code = codes.get(error.status_code, "refused")
    headers = dict(error.headers or {})
    allowed = _list_methods(request) if error.status_code == 405 else None
    if allowed:
        headers["Allow"] = ", ".join(allowed)
    return make_problem(error.status_code, code, str(error.detail), headers=headers)


def _list_methods(request: Request) -> list[str]:
    """Say what an address takes; the router knows of the first of its routes only."""
    paths, path = request.app.openapi()["paths"], request.url.path
    paths_matching = [path] if path in paths else [each for each in paths if compile_path(each)[0].match(path)]
    methods = {method.upper() for each in paths_matching for method in paths[each]}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _handle_end_of_stream(request: Request, error: Exception) -> Response:
    return Response(status_code=204)


class UnhandledErrors:
    """Answers what nobody has foreseen.

    Starlette raises it again after a handler of its own has answered: the server then drops the connection, and with
    it the client's next request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; what goes wrong in the middle of an answer is left to the server, to cut it off."""
        response_started = False

        async def send_and_record(message: Message) -> None:
            nonlocal response_started
            response_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_record)
        except Exception:
            if response_started or scope["type"] != "http":
                raise
            logger.exception("%s %s", scope["method"], scope["path"])
            await make_problem(500, "internal", "something went wrong on our side; it has been logged")(
                scope, receive, send
            )
