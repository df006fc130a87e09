"""JSON bodies, read as strictly as definitions from files are: what cannot be kept or sent on is refused."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.access import RequireScope, admit_request
from orchestrator.jsontools.source import MAX_SHOWN, JsonSyntaxError, Source, parse_json
from orchestrator.jsontools.suggestions import did_you_mean, join_names

MAX_DEPTH = 200
"""Lists and objects in each other: pydantic writes no answer deeper than 255, and an answer wraps what was sent."""
LOCATED_CHARACTERS = 100_000
"""Of a longer body only the key that is given twice is named: to say where it stands costs a second look."""
LARGE_BYTES = 100_000
"""A body that is read beside the event loop."""
MAX_UNKNOWN = 10
"""Unknown parameters of one request that are named."""
HEAD = "orchestrator.head"
"""Key of the scope of a request that asks for headers alone."""
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def parse_body(raw: bytes) -> Any:
    """Read a body; raises HTTPException 400 with where it is no JSON."""
    try:
        source = parse_json(raw.decode(), MAX_DEPTH)
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the body is not UTF-8: byte {error.start}") from None
    except JsonSyntaxError as error:
        raise HTTPException(
            400, f"{error.where}: {error.message}" + (f" ({error.hint})" if error.hint else "")
        ) from None
    if source.repeated is not None:
        raise HTTPException(400, _describe_repeated_key(source))
    return source.value


def _describe_repeated_key(source: Source) -> str:
    if len(source.text) > LOCATED_CHARACTERS:
        return f"a key is given twice in one object: {(source.repeated or '')[:MAX_SHOWN]!r}"
    first = source.find_duplicates()[0]
    return f"{first.path}: {first.message}"


class _StrictRequest(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Read the body piece by piece; raises HTTPException 413 for one that is too large."""
        limit, size = self.app.state.services.settings.max_body_bytes, 0
        if int(self.headers.get("content-length", 0)) > limit:
            raise HTTPException(413, f"the body is larger than {limit:,} bytes")
        async for part in super().stream():
            size += len(part)
            if size > limit:
                raise HTTPException(413, f"the body is larger than {limit:,} bytes")
            yield part

    async def json(self) -> Any:
        """Read the body."""
        if not hasattr(self, "_json"):
            raw = await self.body()
            self._json = parse_body(raw) if len(raw) < LARGE_BYTES else await asyncio.to_thread(parse_body, raw)
        return self._json


class Route(APIRoute):
    """A route that answers HEAD as it answers GET, without the body."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match HEAD where GET does."""
        return super().matches(self._as_get(scope))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle HEAD as GET; the server, which knows better, sends no body."""
        await super().handle(self._as_get(scope), receive, send)

    def get_route_handler(self) -> Handler:
        """Leave out what HEAD does not ask for: a stream would go on until its run has ended."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await handler(request)
            return _strip_body(response) if HEAD in request.scope else response

        return handle

    @property
    def takes_whole_request(self) -> bool:
        """Tell whether the endpoint reads the request itself: its method, and any query."""
        return self.dependant.request_param_name is not None

    def _as_get(self, scope: Scope) -> Scope:
        if scope.get("method") != "HEAD" or "GET" not in (self.methods or ()) or self.takes_whole_request:
            return scope
        return {**scope, "method": "GET", HEAD: True}


def _strip_body(response: Response) -> Response:
    empty = Response(status_code=response.status_code)
    empty.raw_headers = response.raw_headers
    return empty


class StrictRoute(Route):
    """A route that knows who asks before it reads a body, reads JSON strictly, and takes no unknown parameter."""

    def get_route_handler(self) -> Handler:
        """Hand the strict request on."""
        handler = super().get_route_handler()
        parts = list(_iterate_dependants(self.dependant))
        gates = [part.call for part in parts if isinstance(part.call, RequireScope)]
        known = {field.alias for part in parts for field in part.query_params}

        async def handle(request: Request) -> Response:
            await admit_request(request, request.app.state.services, gates)
            if not self.takes_whole_request:
                _refuse_unknown(request.query_params, known)
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle


def _iterate_dependants(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _iterate_dependants(inner)


def _refuse_unknown(parameters: QueryParams, known: Collection[str]) -> None:
    """Raise RequestValidationError for a parameter that would be passed over: a filter with a slip lists everything."""
    mistakes = [
        {
            "type": "unknown_parameter",
            "loc": ("query", name),
            "msg": f"there is no parameter {name[:MAX_SHOWN]!r}",
            "ctx": {"hint": did_you_mean(name[:MAX_SHOWN], known) or f"known are {join_names(sorted(known))}"},
        }
        for name in parameters
        if name not in known
    ]
    if mistakes:
        raise RequestValidationError(mistakes[:MAX_UNKNOWN])
