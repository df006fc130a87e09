"""What a process tells of itself: metrics for Prometheus, traces for OpenTelemetry, and who a log line is about.

Metrics carry no ids of runs or customers: their number would grow without end.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Counter, Histogram
from prometheus_client.exposition import generate_latest

from orchestrator.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

HTTP_REQUESTS = Counter("orchestrator_http_requests", "Requests to the API.", ["method", "route", "status"])
HTTP_SECONDS = Histogram("orchestrator_http_request_seconds", "Time to answer a request.", ["method", "route"])
RUNS_STARTED = Counter("orchestrator_runs_started", "Runs started by this process.", ["trigger", "outcome"])
RUNS_ENDED = Counter("orchestrator_runs_ended", "Runs seen to have ended; one process counts.", ["status"])
ACTIONS = Counter("orchestrator_actions", "Attempts of actions on this worker.", ["action", "outcome"])
ACTION_SECONDS = Histogram(
    "orchestrator_action_seconds",
    "Time of one attempt of an action.",
    ["action"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The standard variable that turns traces on."""
SERVICE = "orchestrator"
SCRAPE_SECONDS = 5.0

about: ContextVar[Mapping[str, Any]] = ContextVar("orchestrator_about")
"""Whom what is being done is for: `run_id`, `workflow_id`, `node_id`, `customer_id`; log lines carry it."""


class SdkMetrics:
    """Where the Temporal client's native part tells its own metrics, on this machine only."""

    address: str | None = None


async def exposition() -> tuple[bytes, str]:
    """Give all metrics of this process, and their content type."""
    text = generate_latest()
    if SdkMetrics.address is not None:
        async with httpx.AsyncClient(timeout=SCRAPE_SECONDS, trust_env=False) as client:
            text += (await client.get(f"http://{SdkMetrics.address}/metrics")).content
    return text, CONTENT_TYPE_PLAIN_0_0_4


def tracing() -> bool:
    """Tell whether traces are wanted."""
    return bool(os.environ.get(ENDPOINT) or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


@cache
def tracer() -> "Tracer":
    """Set traces up by OpenTelemetry's own variables; raises SettingsError."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{ENDPOINT} is set, and what sends traces is not installed",
            hint="pip install '.[tracing]' in the checkout; the image has it",
        ) from error
    resource = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.get_tracer(SERVICE)


def interceptors() -> list[Any]:
    """Give what carries traces through Temporal: nothing unless they are wanted."""
    if not tracing():
        return []
    made = tracer()
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(made)]
