"""OpenTelemetry traces, if configured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The standard variable that enables traces."""


SERVICE = "orchestrator"


def is_tracing_enabled() -> bool:
    """Return whether an exporter is configured."""
    return bool(os.environ.get(ENDPOINT) or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


@cache
def start_tracer() -> "Tracer":
    """Configure tracing from OpenTelemetry's own variables; raises SettingsError."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{ENDPOINT} is set, but the OpenTelemetry packages are not installed",
            hint="run `pip install '.[tracing]'` in the checkout; the image includes them",
        ) from error
    resource = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.get_tracer(SERVICE)


def create_interceptors() -> list[Any]:
    """Return the interceptors that propagate traces through Temporal; none without an exporter."""
    if not is_tracing_enabled():
        return []
    tracer = start_tracer()
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(tracer)]


@contextmanager
def trace_action(action: str, run_id: str, step_id: str, attempt: int) -> Iterator[None]:
    """Open a span for an action that has no activity of its own, with the names and attributes of those that have."""
    attributes: dict[str, str | int] = {"temporalWorkflowID": run_id, "temporalActivityID": step_id, "attempt": attempt}
    with start_tracer().start_as_current_span(f"RunActivity:{action}", attributes=attributes):
        yield
