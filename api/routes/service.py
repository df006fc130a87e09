"""Health, readiness and metrics."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from api.models.service import Health, Readiness
from api.services import ServicesDep
from orchestrator.telemetry.metrics import export_metrics

health_router = APIRouter(tags=["service"])
metrics_router = APIRouter(tags=["service"])
readiness_router = APIRouter(tags=["service"])

NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Readiness, "description": "Temporal does not answer, or the database cannot be written to."}
}


@health_router.head("/healthz", operation_id="headHealth", name="head_health")
@health_router.get("/healthz", operation_id="getHealth")
async def get_health() -> Health:
    """Return 200 while the process is alive. Checks nothing else."""
    return Health()


@metrics_router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "Metrics in the Prometheus text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def get_metrics() -> Response:
    """Return the metrics of this process and of its Temporal client in the Prometheus text format."""
    text, content_type = await export_metrics()
    return Response(text, media_type=content_type)


@readiness_router.head("/readyz", operation_id="headReadiness", name="head_readiness", responses=NOT_READY)
@readiness_router.get("/readyz", operation_id="getReadiness", responses=NOT_READY)
async def get_readiness(services: ServicesDep, response: Response) -> Readiness:
    """Return 200 if Temporal answers and the database can be written to, else 503; within 5 seconds."""
    checks = await services.readiness.check()
    ready = all(outcome == "ok" for outcome in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)
