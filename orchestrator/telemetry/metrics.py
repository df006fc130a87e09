"""What a process tells of itself: metrics for Prometheus, traces for OpenTelemetry, and who a log line is about.

Metrics carry no ids of runs or customers: their number would grow without end.
"""

from typing import TYPE_CHECKING

import httpx
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Counter, Histogram
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    pass

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
SCRAPE_SECONDS = 5.0


class SdkMetrics:
    """Where the Temporal client's native part tells its own metrics, on this machine only."""

    address: str | None = None


async def export_metrics() -> tuple[bytes, str]:
    """Give all metrics of this process, and their content type."""
    text = generate_latest()
    if SdkMetrics.address is not None:
        async with httpx.AsyncClient(timeout=SCRAPE_SECONDS, trust_env=False) as client:
            text += (await client.get(f"http://{SdkMetrics.address}/metrics")).content
    return text, CONTENT_TYPE_PLAIN_0_0_4
