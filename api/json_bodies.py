"""Parse bodies in JSON or YAML as strictly as definition files, and refuse unknown query parameters."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Scope

from api.access import ADMITTED_KEY, RequireScope, admit_request, identify_caller
from api.audit import begin_change, is_recorded
from orchestrator.jsontools.json_values import MAX_DEPTH
from orchestrator.jsontools.positions import MAX_SHOWN
from orchestrator.jsontools.source import JsonSyntaxError, Source, parse_json
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.jsontools.yaml_source import YamlSyntaxError
from orchestrator.service.yaml_bodies import MAX_YAML_BYTES, read_yaml

LOCATED_CHARACTERS = 100_000
"""Size up to which a duplicate key is reported with its position, which takes a second pass."""
LARGE_BYTES = 100_000
"""Size from which a body is parsed in a thread, off the event loop."""
MAX_UNKNOWN = 10
"""Unknown query parameters that are reported per request."""
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
"""Media types of YAML; the first is that of RFC 9512."""
YAML = "orchestrator.yaml"
"""Entry of the ASGI scope of a request whose body is YAML."""
YAML_TEXT = "orchestrator.yaml_text"
"""Entry of the ASGI scope with the text of a YAML body."""
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def parse_body(raw: bytes) -> Any:
    """Parse a body; raises HTTPException 400 with the position of the first syntax error."""
    try:
        source = parse_json(_decode(raw), MAX_DEPTH)
    except JsonSyntaxError as error:
        raise HTTPException(
            400, f"{error.where}: {error.message}" + (f" ({error.hint})" if error.hint else "")
        ) from None
    if source.repeated is not None:
        raise HTTPException(400, _describe_repeated_key(source))
    return source.value


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the body is not valid UTF-8 at byte {error.start}") from None


def is_yaml(content_type: str) -> bool:
    """Return whether a Content-Type is that of YAML."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in YAML_TYPES or media_type.endswith("+yaml")


def _declare_json(scope: Scope) -> Scope:
    """Return the scope of a YAML request as one of JSON: the framework reads bodies of no other type."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, YAML: True, "headers": [*headers, (b"content-type", b"application/json")]}


def _describe_repeated_key(source: Source) -> str:
    if len(source.text) > LOCATED_CHARACTERS:
        return f"duplicate key in an object: {(source.repeated or '')[:MAX_SHOWN]!r}"
    first = source.find_duplicates()[0]
    return f"{first.path}: {first.message}"


class _StrictRequest(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in chunks; raises HTTPException 413 if it is too large."""
        limit, size = self.app.state.services.settings.max_body_bytes, 0
        too_large = f"the body is larger than {limit:,} bytes"
        if self.scope.get(YAML) and limit > MAX_YAML_BYTES:
            limit = MAX_YAML_BYTES
            too_large = f"the YAML body is larger than {limit:,} bytes; send larger ones as JSON"
        if int(self.headers.get("content-length", 0)) > limit:
            raise HTTPException(413, too_large)
        async for part in super().stream():
            size += len(part)
            if size > limit:
                raise HTTPException(413, too_large)
            yield part

    async def json(self) -> Any:
        """Return the parsed body."""
        if not hasattr(self, "_json"):
            raw = await self.body()
            if self.scope.get(YAML):
                self._json = await self._parse_yaml(raw)
                return self._json
            self._json = parse_body(raw) if len(raw) < LARGE_BYTES else await asyncio.to_thread(parse_body, raw)
        return self._json

    async def _parse_yaml(self, raw: bytes) -> Any:
        """Return the value of a YAML body; raises HTTPException 400, YamlSyntaxError, TooCostly and Busy."""
        customer = identify_caller(self.scope.get(ADMITTED_KEY), None).creates_for
        self.scope[YAML_TEXT] = text = _decode(raw)
        value, refusal = await self.app.state.services.plans.call(customer, read_yaml, text)
        if refusal is not None:
            raise YamlSyntaxError(*refusal)
        return value


async def get_yaml_text(request: Request) -> str | None:
    """Return the text of a YAML body, for routes that name positions in it; `None` for JSON."""
    text: str | None = request.scope.get(YAML_TEXT)
    return text


YamlText = Annotated[str | None, Depends(get_yaml_text)]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The media types that a client accepts."""

    yaml: bool
    """Whether the first one is that of YAML."""
    json: bool

    def prefers_yaml(self, text: str | None) -> bool:
        """Return whether to respond with YAML: where JSON is accepted, too, only if there is a text in YAML."""
        return self.yaml and (text is not None or not self.json)


async def read_accepted(request: Request) -> Accepted:
    """Return what the Accept header of a request names."""
    types = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "").split(",")]
    return Accepted(yaml=is_yaml(types[0]), json="application/json" in types)


AcceptedTypes = Annotated[Accepted, Depends(read_accepted)]


class StrictRoute(APIRoute):
    """A route that authenticates before it reads the body, parses JSON strictly and checks the names of parameters.

    What it changes is recorded in the audit log before the response is sent.
    """

    def get_route_handler(self) -> Handler:
        """Return a handler that checks the request first."""
        handler = super().get_route_handler()
        parts = [self.dependant]
        for part in parts:  # grows by the dependencies of each
            parts += part.dependencies
        gates = [part.call for part in parts if isinstance(part.call, RequireScope)]
        # A webhook reads the request itself, with any query.
        reads_request = self.dependant.request_param_name is not None
        recorded = is_recorded(self.operation_id, self.methods or ()) and bool(gates)
        known: dict[str, Any] = {}
        for field in (field for part in parts for field in part.query_params):
            known |= _list_parameters(field.alias, field.field_info.annotation)
        repeatable = {name for name, annotation in known.items() if _takes_several(annotation)}

        async def handle(request: Request) -> Response:
            await admit_request(request, request.app.state.services, gates)
            if not reads_request:
                _check_query(request.query_params, known, repeatable)
            sends_yaml = not reads_request and is_yaml(request.headers.get("content-type", ""))
            scope = _declare_json(request.scope) if sends_yaml else request.scope
            strict_request = _StrictRequest(scope, request.receive)
            if sends_yaml:
                await strict_request.json()  # here, because the framework makes any error of a body one of JSON
            change = begin_change(strict_request, str(self.operation_id))
            try:
                response = await handler(strict_request)
            except Exception as error:
                await change.record_failure(error)
                raise
            if recorded and response.status_code < HTTPStatus.BAD_REQUEST:
                await change.record()
            return response

        return handle


def _list_parameters(name: str, annotation: Any) -> Mapping[str, Any]:
    """Return the query parameters by name with their types: one, or those of a model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {each: field.annotation for each, field in annotation.model_fields.items()}
    return {name: annotation}


def _takes_several(annotation: Any) -> bool:
    """Return whether a parameter is a list, which may be given more than once."""
    return any(get_origin(each) is list for each in (annotation, *get_args(annotation)))


def _check_query(parameters: QueryParams, known: Collection[str], repeatable: Collection[str]) -> None:
    """Raise RequestValidationError for unknown and repeated parameters.

    A misspelt filter would otherwise list everything, and all but the last of several values would be ignored.
    """
    mistakes: list[dict[str, Any]] = [
        {
            "type": "repeated_parameter",
            "loc": ("query", name),
            "msg": "is given more than once",
        }
        for name in parameters
        if name in known and name not in repeatable and len(parameters.getlist(name)) > 1
    ]
    mistakes += [
        {
            "type": "unknown_parameter",
            "loc": ("query", name),
            "msg": f"unknown query parameter `{name[:MAX_SHOWN]}`",
            "ctx": {"hint": did_you_mean(name[:MAX_SHOWN], known) or f"known parameters: {join_names(sorted(known))}"},
        }
        for name in parameters
        if name not in known
    ]
    if mistakes:
        raise RequestValidationError(mistakes[:MAX_UNKNOWN])
