"""Prometheus metrics of this process.

Labels carry no ids of runs or customers: their cardinality is unbounded. Workflows are bounded by `WorkflowLabels`.
"""

import httpx
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from orchestrator.telemetry.workflow_labels import WORKFLOWS, bound_types

HTTP_REQUESTS = Counter("orchestrator_http_requests", "HTTP requests.", ["method", "route", "status"])
HTTP_SECONDS = Histogram("orchestrator_http_request_seconds", "Duration of HTTP requests.", ["method", "route"])
RUNS_STARTED = Counter("orchestrator_runs_started", "Runs started by this process.", ["workflow", "trigger", "outcome"])
RUNS_ENDED = Counter(
    "orchestrator_runs_ended", "Runs that ended, counted by one process at a time.", ["workflow", "status"]
)
RUN_SECONDS = Histogram(
    "orchestrator_run_seconds",
    "Duration of runs that ended, counted by one process at a time.",
    ["workflow"],
    buckets=(0.1, 0.5, 1, 5, 10, 60, 300, 3_600, 86_400, 604_800),
)
FAILING_RUNS = Gauge(
    "orchestrator_failing_runs",
    "Runs and branches whose workflow task keeps failing, counted by one process at a time.",
)
FAILING_RUNS_ENDED = Counter(
    "orchestrator_failing_runs_ended",
    "Those that were terminated because they were cancelled or over their time limit.",
    ["error_type"],
)
STUCK = Gauge(
    "orchestrator_stuck",
    "What `GET /stuck` lists, by kind: queues, workflow_tasks, activities, runs. Counted by one process at a time.",
    ["kind"],
)
WAITING_FOR_PEOPLE = Gauge(
    "orchestrator_runs_waiting_for_people",
    "Runs that wait for an operator or an approval, counted by one process at a time.",
    ["workflow"],
)
OLDEST_WAIT_SECONDS = Gauge(
    "orchestrator_oldest_wait_for_people_seconds", "How long the first of them has waited.", ["workflow"]
)
ARCHIVE_PENDING = Gauge(
    "orchestrator_archive_pending", "Ended runs that are not archived yet, counted by one process at a time."
)
ARCHIVE_OLDEST_SECONDS = Gauge(
    "orchestrator_archive_oldest_seconds", "How long ago the first of them ended, counted by one process at a time."
)
ACTIONS = Counter("orchestrator_actions", "Action attempts on this worker.", ["workflow", "action", "outcome"])
ACTION_SECONDS = Histogram(
    "orchestrator_action_seconds",
    "Duration of action attempts.",
    ["action"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
SCRAPE_SECONDS = 5.0


class SdkMetrics:
    """Address where the Temporal SDK serves its own metrics, on loopback."""

    address: str | None = None


async def export_metrics() -> tuple[bytes, str]:
    """Return all metrics of this process, the SDK's included, and their content type."""
    text = generate_latest()
    if SdkMetrics.address is not None:
        async with httpx.AsyncClient(timeout=SCRAPE_SECONDS, trust_env=False) as client:
            served = (await client.get(f"http://{SdkMetrics.address}/metrics")).content
        text += bound_types(served, WORKFLOWS)
    return text, CONTENT_TYPE_PLAIN_0_0_4
