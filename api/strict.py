"""JSON bodies, read as strictly as definitions from files are: what cannot be kept or sent on is refused."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from orchestrator.locate import MAX_SHOWN, JsonSyntaxError, Source, read


MAX_DEPTH = 200
"""Lists and objects in each other: pydantic writes no answer deeper than 255, and an answer wraps what was sent."""
LOCATED_CHARACTERS = 100_000
"""Of a longer body only the key that is given twice is named: to say where it stands costs a second look."""
LARGE_BYTES = 100_000
"""A body that is read beside the event loop."""


def parsed(raw: bytes) -> Any:
    """Read a body; raises HTTPException 400 with where it is no JSON."""
    try:
        source = read(raw.decode(), MAX_DEPTH)
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the body is not UTF-8: byte {error.start}") from None
    except JsonSyntaxError as error:
        raise HTTPException(
            400, f"{error.where}: {error.message}" + (f" ({error.hint})" if error.hint else "")
        ) from None
    if source.repeated is not None:
        raise HTTPException(400, _doubled(source))
    return source.value


def _doubled(source: Source) -> str:
    if len(source.text) > LOCATED_CHARACTERS:
        return f"a key is given twice in one object: {(source.repeated or '')[:MAX_SHOWN]!r}"
    first = source.duplicates()[0]
    return f"{first.path}: {first.message}"


class _StrictRequest(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Read the body piece by piece; raises HTTPException 413 for one that is too large."""
        limit, size = self.app.state.house.settings.max_body_bytes, 0
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
            self._json = parsed(raw) if len(raw) < LARGE_BYTES else await asyncio.to_thread(parsed, raw)
        return self._json


class StrictRoute(APIRoute):
    """A route that reads JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the strict request on."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle
