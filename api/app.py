"""The HTTP API, put together: routes, errors, limits."""

from fastapi import Depends, FastAPI

from api import description, problems
from api.access import local_only
from api.limits import RateLimits
from api.problems import described
from api.request_log import Observed
from api.routes import builder, runs, service, triggers, workflows
from orchestrator.service.services import House
from orchestrator.telemetry.tracing import tracing

PREFIX = "/api/v1"
DESCRIPTION = """
Automations as JSON graphs, run durably on Temporal.

Every error is a problem document (RFC 9457). Lists are paged: send `next_cursor` as `cursor`. Where an API key
exists, each request carries one: `Authorization: Bearer ork_…`; until then only this machine is served.
"""


def create_app(house: House) -> FastAPI:
    """Make the application that serves from a house."""
    app = FastAPI(
        title="Orchestrator",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": tracing(), "metrics": False, "logs": False},
    )
    app.state.house = house
    app.state.limits = RateLimits(house.settings.rate_limit)
    problems.install(app)
    for module in (workflows, runs, triggers, builder):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(service.router)
    app.include_router(service.ready)
    app.include_router(service.measured, dependencies=[Depends(local_only)], responses=described(401, 503))
    description.install(app, PREFIX)
    app.add_middleware(Observed)
    return app


def metrics_app() -> FastAPI:
    """Make the application of a process that serves nothing but word of itself."""
    app = FastAPI(title="Orchestrator worker", openapi_url=None)
    app.include_router(service.router)
    app.include_router(service.measured)
    return app
