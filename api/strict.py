"""JSON bodies, read as strictly as definitions from files are: what cannot be kept or sent on is refused."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from orchestrator.locate import JsonSyntaxError, read


def parsed(raw: bytes) -> Any:
    """Read a body; raises HTTPException 400 with where it is no JSON."""
    try:
        source = read(raw.decode())
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the body is not UTF-8: byte {error.start}") from None
    except JsonSyntaxError as error:
        raise HTTPException(
            400, f"{error.where}: {error.message}" + (f" ({error.hint})" if error.hint else "")
        ) from None
    doubled = source.duplicates()
    if doubled:
        raise HTTPException(400, f"{doubled[0].path}: {doubled[0].message}")
    return source.value


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
            self._json = parsed(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the strict request on."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return handle
