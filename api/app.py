"""The HTTP API, put together: routes, errors, limits."""

from fastapi import APIRouter, FastAPI

from api import problems
from api.routes import builder, runs, service, triggers, workflows
from api.strict import StrictRoute
from orchestrator.service.house import House

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
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        max_body_size=house.settings.max_body_bytes,
        redirect_slashes=False,
    )
    app.state.house = house
    problems.install(app)
    versioned = APIRouter(prefix=PREFIX, route_class=StrictRoute)
    for module in (workflows, runs, triggers, builder):
        module.router.route_class = StrictRoute
        versioned.include_router(module.router)
    app.include_router(versioned)
    app.include_router(service.router)
    return app
