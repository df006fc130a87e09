"""Serve Temporal's Web UI to this machine's browser only.

The UI has no login: a web page whose name is rebound to a loopback address (DNS rebinding) could list and terminate
runs. So `dev` has the UI listen on an address that is not announced, and this proxy forwards what a local client or
the UI's own pages request.

The UI shows payloads as Temporal stores them. Of those that are stored elsewhere it asks a codec endpoint, which the
proxy is as well: it names itself in the settings of the UI.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from api.access import explain_foreign, is_link
from orchestrator.errors import OrchestratorError

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers of one connection (RFC 9110, section 7.6.1), which a proxy does not forward."""
TIMEOUT = httpx.Timeout(10.0, read=90.0)
"""In seconds; the UI waits up to a minute for new events of a run."""


SETTINGS = "/api/v1/settings"
"""Where the UI reads its settings."""
CODEC = "/codec"

DecodePayloads = Callable[[list[Any]], Awaitable[list[dict[str, Any]]]]
"""Returns payloads with the stored ones in place of references; raises ValueError or TypeError for other values."""


def create_temporal_page(target: str, decode: DecodePayloads) -> Starlette:
    """Create the application that forwards to the Web UI at a URL, and decodes payloads for it."""
    page = _TemporalPage(httpx.AsyncClient(base_url=target, timeout=TIMEOUT, trust_env=False), decode)

    @asynccontextmanager
    async def close_client(_: Starlette) -> AsyncIterator[None]:
        async with page.client:
            yield

    routes = [
        Route(SETTINGS, page.show_settings),
        Route(CODEC + "/{operation:str}", page.run_codec, methods=["POST"]),
        Route("/{path:path}", page.forward, methods=METHODS),
    ]
    return Starlette(routes=routes, lifespan=close_client)


class _TemporalPage:
    """Answers the requests of the UI."""

    def __init__(self, client: httpx.AsyncClient, decode: DecodePayloads) -> None:
        self.client = client
        self.decode = decode

    async def show_settings(self, request: Request) -> Response:
        """Return the settings of the UI, with this proxy as its codec endpoint."""
        if (refusal := _refuse_foreign(request)) is not None:
            return refusal
        try:
            answer = await self.client.get(SETTINGS)
            document = answer.json()
        except (httpx.TransportError, ValueError):
            return _build_unavailable()
        document["Codec"] = {**(document.get("Codec") or {}), "Endpoint": str(request.base_url.replace(path=CODEC))}
        return JSONResponse(document, answer.status_code)

    async def run_codec(self, request: Request) -> Response:
        """Return payloads with the stored ones in place of references; to encode changes nothing."""
        if (refusal := _refuse_foreign(request)) is not None:
            return refusal
        try:
            payloads = (await request.json())["payloads"]
            if request.path_params["operation"] != "encode":
                payloads = await self.decode(payloads)
        except (ValueError, LookupError, TypeError, AttributeError):
            return PlainTextResponse("the payloads are invalid\n", 400)
        except OrchestratorError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return JSONResponse({"payloads": payloads})

    async def forward(self, request: Request) -> Response:
        """Forward a request to the UI."""
        if (refusal := _refuse_foreign(request)) is not None:
            return refusal
        base, scope = self.client.base_url, request.scope
        url = base.copy_with(raw_path=scope["raw_path"] + b"?" + scope["query_string"])
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in HOP_BY_HOP]
        sent = self.client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await self.client.send(sent, stream=True)
        except httpx.TransportError:
            return _build_unavailable()
        response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
        response.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in HOP_BY_HOP
        ]
        return response


def _build_unavailable() -> Response:
    return PlainTextResponse("Temporal's Web UI does not answer\n", 503, {"Retry-After": "1"})


def _refuse_foreign(request: Request) -> Response | None:
    reason = explain_foreign(request)
    if reason is None or is_link(request):
        return None
    return PlainTextResponse(f"Temporal's Web UI is for this machine only: {reason}\n", 403)
