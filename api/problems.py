"""Answer every error with problem details (RFC 9457): the HTTP status of each error code."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body_errors import format_body_path, list_known_fields
from api.fields import ALLOWED_CHARACTERS
from api.json_bodies import is_yaml
from api.limits import TooManyRequests
from api.problem_types import PREFIX, find_status
from api.request_log import name_path
from orchestrator.errors import DefinitionInvalid, OrchestratorError, ServerUnavailable
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice
from orchestrator.service.webhooks.request import MethodNotAllowed
from orchestrator.store.database import StoreUnavailable

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "The request cannot be read",
    401: "Authentication failed",
    403: "The API key lacks a scope",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict with the current state",
    412: "Changed since it was read",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    502: "The run did not complete",
    503: "Service unavailable",
}
"""Title by HTTP status."""
MAX_MISTAKES = 100
"""Errors of a request that are listed; definitions have a limit of their own."""
NOT_JSON = "send the body as JSON, with the header `content-type: application/json`"


class StreamEnded(Exception):
    """The stream was read to its end. Answered with 204, which stops a browser from reconnecting."""


class Mistake(BaseModel):
    """One error in a request or a definition."""

    severity: str = Field("error", examples=["error"], description="An error, or a warning.")
    code: str = Field(examples=["unknown_action"], description="Stable name of the rule, for programs.")
    path: str = Field(
        description="JSON Pointer into the body, or the name of a parameter, such as `query limit`.",
        examples=["/nodes/0/type"],
    )
    message: str = Field(description="What is wrong.")
    hint: str | None = Field(None, description="What to do about it.")


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field("about:blank", description="URI reference of the page about this type of problem.")
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong.")
    code: str = Field(description="Stable error code for programs.", examples=["workflow_not_found"])
    hint: str | None = Field(None, description="What to do about it.")
    errors: list[Mistake] = Field([], description="Every error of an invalid request or definition.")


def describe_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of an operation for these statuses."""
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
    errors: Sequence[Mistake] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Create the response of an error."""
    document = ProblemDetails(
        type=f"{PREFIX}/{code}",
        title=TITLES.get(status, "Request refused"),
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        errors=list(errors),
    )
    return JSONResponse(jsonable_encoder(document), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Install the error handlers of an application."""
    app.add_exception_handler(OrchestratorError, _handle_our_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(StreamEnded, _handle_end_of_stream)
    app.add_middleware(UnhandledErrors)


async def _handle_our_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, OrchestratorError):
        raise error
    status = find_status(error.code)
    errors = (
        [Mistake.model_validate(each.to_json()) for each in error.problems]
        if isinstance(error, DefinitionInvalid)
        else []
    )
    headers = {}
    if status == 401 and error.code != "signature_refused":
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.seconds)
    if status == 503:
        headers["Retry-After"] = "1"
    if status >= 500:
        path = name_path(request.scope)
        logger.error("%s %s: %s", request.method, path, error, exc_info=error if status == 500 else None)
    if isinstance(error, StoreUnavailable | ServerUnavailable):
        # The message names addresses, users and paths: it is for the log.
        return make_problem(status, error.code, type(error)().message, headers=headers)
    return make_problem(status, error.code, error.message, hint=error.hint, errors=errors, headers=headers)


async def _handle_invalid_request(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        first = errors[0]
        detail = f"{first.get('ctx', {}).get('error', first['msg'])} at character {first['loc'][-1]}"
        return make_problem(400, "json_syntax", detail)
    mistakes = [_describe_mistake(each, request, error.body) for each in errors[:MAX_MISTAKES]]
    detail = "; ".join(f"{each.path or 'body'}: {each.message}" for each in mistakes[:3])
    content_type = request.headers.get("content-type", "")
    is_readable = "json" in content_type or is_yaml(content_type)
    not_json = not is_readable and any(each["loc"][:1] == ("body",) for each in errors)
    hint = NOT_JSON if not_json else next((each.hint for each in mistakes if each.hint), None)
    return make_problem(422, "bad_request", detail, hint=hint, errors=mistakes)


def _describe_mistake(error: Mapping[str, Any], request: Request, body: Any) -> Mistake:
    name, hint = str(error["loc"][-1]), error.get("ctx", {}).get("hint")
    message = describe_validation_error(error)
    if error["type"] == "extra_forbidden":
        message, known = f"unknown field `{name}`", _list_fields(request, error["loc"])
        hint = did_you_mean(name, known) or f"known fields: {join_names(known)}"
    elif error["type"] == "string_pattern_mismatch":
        hint = ALLOWED_CHARACTERS.get(error["ctx"]["pattern"])
    return Mistake(
        code=error["type"],
        path=_format_location(error, body),
        message=message,
        hint=hint or suggest_choice(error),
    )


def _list_fields(request: Request, location: Sequence[Any]) -> list[str]:
    """Return the fields that are known where an unknown one of the request body is."""
    bodies = [field.field_info.annotation for field in request.scope["route"].dependant.body_params]
    return list_known_fields(bodies[0], location[1:]) if bodies else []


def _format_location(error: Mapping[str, Any], body: Any) -> str:
    source, *rest = error["loc"] or ("",)
    if source == "body":
        return format_pointer(rest) if body is None else format_body_path(error, rest, body)
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
    hint = _suggest_path(request) if error.status_code == 404 else None
    return make_problem(error.status_code, code, str(error.detail), hint=hint, headers=headers)


def _suggest_path(request: Request) -> str | None:
    """Return a hint for a path that would exist without its slash at the end."""
    path = request.url.path.rstrip("/")
    matches = path != request.url.path and any(
        route.matches({**request.scope, "path": path})[0] is Match.FULL for route in request.app.routes
    )
    return f"remove the slash at the end: {path}" if matches else None


def _list_methods(request: Request) -> list[str]:
    """Return the methods of a path: those of all its routes; the router reports the first route only."""
    paths, path = request.app.openapi()["paths"], request.url.path
    paths_matching = [path] if path in paths else [each for each in paths if compile_path(each)[0].match(path)]
    return sorted({method.upper() for each in paths_matching for method in paths[each]})


async def _handle_end_of_stream(request: Request, error: Exception) -> Response:
    return Response(status_code=204)


class UnhandledErrors:
    """Middleware that answers unhandled exceptions.

    Starlette's own handler re-raises after it has answered; the server then closes the connection, and the client's
    next request on it fails.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. After the response has started, the server has to cut it off."""
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
            logger.exception("%s %s", scope["method"], name_path(scope))
            await make_problem(500, "internal", "internal error; see the server log")(scope, receive, send)
