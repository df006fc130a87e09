"""Assemble the HTTP API: routes, errors, rate limits."""

from fastapi import Depends, FastAPI

from api import console_page, description, problem_types, problems
from api.access import require_operator
from api.limits import OpenStreams, RateLimits
from api.problems import describe_problems
from api.request_log import RequestLog, is_approval
from api.routes import (
    approvals,
    audit,
    builder,
    bulk,
    caller,
    callers,
    codec,
    graphs,
    interventions,
    keys,
    regressions,
    run_counts,
    runs,
    schedules,
    service,
    simulation,
    steps,
    triggers,
    validation,
    workflows,
)
from api.safe_headers import SafeHeaders
from orchestrator.service.services import Services
from orchestrator.telemetry.tracing import is_tracing_enabled

PREFIX = "/api/v1"
DESCRIPTION = """
Automations as JSON graphs, run durably on Temporal.

Errors are problem documents (RFC 9457). Lists are paginated: send `next_cursor` as `cursor`. Once an API key exists,
every request needs one: `Authorization: Bearer ork_…`. Until then, only requests from this machine are accepted.
"""


def create_app(services: Services) -> FastAPI:
    """Create the application of the API."""
    app = FastAPI(
        title="Orchestrator",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,
        redirect_slashes=False,
        # A span has the path of its request.
        telemetry={"tracing": is_tracing_enabled(), "metrics": False, "logs": False, "exclude": is_approval},
    )
    app.state.services = services
    app.state.limits = RateLimits(services.settings.rate_limit)
    app.state.streams = OpenStreams(services.settings.max_streams)
    problems.install(app)
    modules = (
        run_counts,
        runs,  # early: a request is compared with all routes up to its own
        simulation,
        regressions,
        workflows,
        validation,
        graphs,
        schedules,
        steps,
        interventions,
        triggers,
        builder,
        codec,
        keys,
        caller,
        callers,
        audit,
        bulk,
    )
    for module in modules:
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(approvals.router)
    app.include_router(service.health_router)
    app.include_router(service.readiness_router)
    app.include_router(
        service.metrics_router, dependencies=[Depends(require_operator)], responses=describe_problems(401, 403, 503)
    )
    app.include_router(problem_types.router)
    description.install(app, PREFIX)
    console_page.install(app)
    app.add_middleware(SafeHeaders)
    app.add_middleware(RequestLog)
    return app


def create_metrics_app() -> FastAPI:
    """Create the application of a process that serves only its health and metrics."""
    app = FastAPI(title="Orchestrator worker", openapi_url=None)
    app.include_router(service.health_router)
    app.include_router(service.metrics_router)
    return app
