"""Whether the service lives, and whether it can work."""

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from api.json_bodies import Route
from api.services import ServicesDep
from orchestrator.errors import OrchestratorError
from orchestrator.telemetry.metrics import export_metrics

router = APIRouter(tags=["service"], route_class=Route)
metrics_router = APIRouter(tags=["service"], route_class=Route)
readiness_router = APIRouter(tags=["service"], route_class=Route)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether what the service needs answers."""

    ready: bool
    checks: dict[str, str]


@router.get("/healthz", operation_id="getHealth")
async def get_health() -> Health:
    """Say that the process lives; nothing else is asked."""
    return Health()


@metrics_router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics() -> Response:
    """Give the metrics of this process and of its Temporal client, for Prometheus."""
    text, content_type = await export_metrics()
    return Response(text, media_type=content_type)


@readiness_router.get(
    "/readyz",
    operation_id="getReadiness",
    responses={503: {"model": Readiness, "description": "Something needed does not answer."}},
)
async def get_readiness(services: ServicesDep, response: Response) -> Readiness:
    """Say whether Temporal and the database answer."""
    checks = {}
    for name, check in (("temporal", services.runs.check), ("database", services.database.check)):
        try:
            await check()
            checks[name] = "ok"
        except OrchestratorError as error:
            checks[name] = error.code
    ready = all(outcome == "ok" for outcome in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)
