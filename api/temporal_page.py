"""Serve Temporal's Web UI to this machine's browser only.

The UI has no login: a web page whose name is rebound to a loopback address (DNS rebinding) could list and terminate
runs. So `dev` has the UI listen on an address that is not announced, and this proxy forwards what a local client or
the UI's own pages request.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from api.access import explain_foreign, is_link

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


def create_temporal_page(target: str) -> Starlette:
    """Create the application that forwards to the Web UI at a URL."""
    client = httpx.AsyncClient(base_url=target, timeout=TIMEOUT, trust_env=False)

    async def forward(request: Request) -> Response:
        reason = explain_foreign(request)
        if reason is not None and not is_link(request):
            return PlainTextResponse(f"Temporal's Web UI is for this machine only: {reason}\n", 403)
        url = client.base_url.copy_with(raw_path=request.scope["raw_path"] + b"?" + request.scope["query_string"])
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in HOP_BY_HOP]
        sent = client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await client.send(sent, stream=True)
        except httpx.TransportError:
            return PlainTextResponse("Temporal's Web UI does not answer\n", 503, {"Retry-After": "1"})
        response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
        response.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in HOP_BY_HOP
        ]
        return response

    @asynccontextmanager
    async def close_client(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)], lifespan=close_client)
