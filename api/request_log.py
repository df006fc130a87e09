"""Count, time and log every request by its route; FastAPI traces it itself."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.planner.webhook_checks import METHODS
from orchestrator.telemetry.context import log_context
from orchestrator.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

logger = logging.getLogger("api.requests")
NO_ROUTE = "(none)"
UNLOGGED_PATHS = ("/approvals/{token}",)
"""Routes whose paths are not logged: whoever knows one can decide."""
QUIET = ("/healthz", "/readyz", "/metrics")
"""Routes that are polled: logged at debug level only."""


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
            path = route if route in UNLOGGED_PATHS else scope["path"]
            logger.log(level, "%s %s %d in %.1f ms", method, path, status, seconds * 1000, extra=fields)
