"""Count, time and log every request by its route; FastAPI traces it itself."""

import logging
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.planner.webhook_checks import METHODS
from orchestrator.telemetry.context import log_context
from orchestrator.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

logger = logging.getLogger("api.requests")
NO_ROUTE = "(none)"
APPROVALS = "approvals/"
QUIET = ("/healthz", "/readyz", "/metrics")
"""Routes that are polled: logged at debug level only."""


def is_approval(scope: MutableMapping[str, Any]) -> bool:
    """Return whether the path of a request has the link of an approval, also one with a mistake beside it."""
    return str(scope.get("path", "")).lstrip("/").startswith(APPROVALS)


def name_path(scope: MutableMapping[str, Any]) -> str:
    """Return the path of a request for a log, without the link of an approval: whoever knows it can decide."""
    return f"/{APPROVALS}{{token}}" if is_approval(scope) else str(scope["path"])


class RequestLog:
    """Middleware that records the metrics and the log line of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_and_record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        log_context.set({})
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        try:
            await self.app(scope, receive, send_and_record)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path_format", None) or NO_ROUTE
            HTTP_REQUESTS.labels(method, route, str(status)).inc()
            HTTP_SECONDS.labels(method, route).observe(seconds)
            level = logging.DEBUG if route in QUIET else logging.INFO
            fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            logger.log(level, "%s %s %d in %.1f ms", method, name_path(scope), status, seconds * 1000, extra=fields)
