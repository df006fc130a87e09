"""Metrics, log lines and traces of real processes."""

import asyncio
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.metrics import MetricWrapperBase
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from orchestrator.settings import Settings
from orchestrator.telemetry import metrics
from orchestrator.temporal.search_attributes import WORKFLOW_ID
from tests.cli.shell import ROOT, SECONDS, Dev, Shell, start_dev, stop_dev
from tests.stream_server import read_http_request, run_stream_server

pytestmark = pytest.mark.temporal
OWN_LABELS: dict[str, tuple[str, ...]] = {
    metric._name: metric._labelnames for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
}
LOGGING = {
    "id": "telling", "name": "Telling", "trigger": {"type": "manual"},
    "nodes": [
        {"id": "tell", "type": "action", "action": "log.message", "execution": "activity",
         "config": {"message": "good day"}, "timeout_seconds": 600},
    ],
    "edges": [{"source": "trigger", "target": "tell"}],
}  # fmt: skip


async def run_logging_workflow(dev: Dev, **headers: str) -> dict[str, Any]:
    """Store the workflow and run it to its end over HTTP."""
    async with httpx.AsyncClient(base_url=f"{dev.ready['api']}/api/v1", headers=headers, timeout=SECONDS) as api:
        await api.post("/workflows", json=LOGGING)
        answer = await api.post("/workflows/telling/runs", params={"wait": 60})
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run


async def test_one_endpoint_serves_metrics_of_api_worker_and_client(dev: Dev) -> None:
    run = await run_logging_workflow(dev)
    wanted = (
        'orchestrator_http_requests_total{method="POST",route="/workflows/{workflow_id}/runs",status="200"}',
        'orchestrator_http_requests_total{method="GET",route="(none)",status="404"}',
        'orchestrator_runs_started_total{outcome="started",trigger="manual",workflow="telling"}',
        'orchestrator_actions_total{action="log.message",outcome="completed",workflow="telling"}',
        'orchestrator_action_seconds_count{action="log.message"}',
        "temporal_request{",
        "temporal_workflow_completed{",
    )
    async with open_client() as client:
        await client.get(f"{dev.ready['api']}/no/such/address")
        answer = await client.get(f"{dev.ready['api']}/metrics")
        async with asyncio.timeout(SECONDS):  # some are counted right after the answer to which they belong
            while missing := list_missing(wanted, lines := (await read_metrics(dev, client)).splitlines()):
                print(f"not counted yet: {missing}")
                await asyncio.sleep(0.1)

    assert answer.headers["content-type"].startswith("text/plain")
    assert not any("default-customer" in line or run["id"] in line for line in lines), "ids would be too many"


def list_missing(beginnings: Iterable[str], lines: Sequence[str]) -> list[str]:
    """Return the beginnings that no line has."""
    return [each for each in beginnings if not any(line.startswith(each) for line in lines)]


def open_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=SECONDS)


async def test_the_metrics_of_the_operations_page_exist(dev: Dev) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`((?:orchestrator|temporal)_\w+)(?:\{(\w+)=[^`]*)?`", page))
    named -= {("temporal_visibility", "")}  # a database
    named |= read_expressions()
    assert {name.partition("_")[0] for name, _ in named} == {"orchestrator", "temporal"}
    await run_logging_workflow(dev)
    temporal = await Client.connect(str(dev.ready["temporal_address"]))
    # Failures are counted from the first one on, and a run of a newer release fails its task.
    unknown = await temporal.start_workflow(
        "newer",
        args=[None, {"run": {"id": "newer"}}, {"id": "newer", "format": 999}],
        id="newer",
        task_queue=Settings().task_queue,
        search_attributes=TypedSearchAttributes([SearchAttributePair(WORKFLOW_ID, "newer")]),
    )
    try:
        async with asyncio.timeout(SECONDS), open_client() as client:
            while "temporal_workflow_task_execution_failed{" not in (text := await read_metrics(dev, client)):
                await asyncio.sleep(0.1)
    finally:
        await unknown.terminate()

    there = {name for pair in re.findall(r"^# TYPE (\w+)|^(\w+)\{", text, re.MULTILINE) for name in pair}
    there |= {f"{name}_bucket" for name in re.findall(r"^# TYPE (\w+) histogram", text, re.MULTILINE)}
    assert {name for name, _ in named} - there == set()
    for name, label in named:
        own = OWN_LABELS.get(re.sub("_(bucket|count|sum|total)$", "", name), ())
        assert not label or label in own or re.search(rf"^{name}\{{.*\b{label}=", text, re.MULTILINE), (name, label)


def read_expressions() -> set[tuple[str, str]]:
    """Return the metrics that the rules and the dashboard name, each with the labels that they expect of it."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yml").read_text())
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    named = set(re.findall(r"label_values\((\w+), (\w+)\)", json.dumps(dashboard["templating"])))
    for expression in expressions:
        # Each sum is of one metric: `sum by (labels) (rate(metric{filters}[5m]))`.
        for labels, name, filters in re.findall(
            r"(?:by \(([\w, ]*)\) *\()?(?:rate\(|increase\()?((?:orchestrator|temporal)_\w+)(?:\{([^}]*)\})?",
            expression,
        ):
            named |= {(name, label) for label in labels.split(", ") if label != "le"}
            named |= {(name, label) for label in re.findall(r"(\w+)=", filters)}
    return named


@pytest.mark.process
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is part of Prometheus")
def test_prometheus_accepts_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", ROOT / "deploy" / "prometheus-rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


async def read_metrics(dev: Dev, client: httpx.AsyncClient) -> str:
    return (await client.get(f"{dev.ready['api']}/metrics")).text


@pytest.mark.long
@pytest.mark.slow
async def test_a_worker_serves_metrics_at_its_address(dev: Dev, tmp_path: Path) -> None:
    from orchestrator.temporal.devserver import find_free_port

    address = f"127.0.0.1:{find_free_port()}"
    shell = Shell({**dev.env, "ORCHESTRATOR_METRICS_ADDRESS": address, "ORCHESTRATOR_HOME": str(tmp_path)})
    process = await shell.begin("worker")
    try:
        assert process.stdout is not None
        assert b"worker polls" in await asyncio.wait_for(process.stdout.readline(), SECONDS)
        async with open_client() as client:
            health, metrics = [await client.get(f"http://{address}/{name}") for name in ("healthz", "metrics")]
    finally:
        process.terminate()
        await shell.end(process)

    assert (health.status_code, metrics.status_code) == (200, 200)
    assert "temporal_" in metrics.text


async def test_a_malformed_metrics_address_is_bad_usage(dev: Dev) -> None:
    refused = await Shell({**dev.env, "ORCHESTRATOR_METRICS_ADDRESS": "nowhere"})("worker")

    assert refused.code == 2
    assert "nowhere" in refused.err


@pytest.mark.slow
@pytest.mark.long
async def test_each_log_line_of_a_run_has_its_ids(tmp_path: Path) -> None:
    dev = await start_dev(tmp_path / "home", {"ORCHESTRATOR_LOG_FORMAT": "json"})
    run = await run_logging_workflow(dev)
    done = await stop_dev(dev)

    lines = [json.loads(line) for line in done.err.splitlines() if line != "stopping ..."]
    (logged,) = [line for line in lines if line["message"] == "good day"]
    wanted = {"run_id": run["id"], "workflow_id": "telling", "node_id": "tell", "customer_id": "default"}
    assert {name: logged[name] for name in wanted} == wanted
    assert (logged["level"], logged["time"][-1]) == ("info", "Z")
    (request,) = [line for line in lines if line.get("route") == "/workflows/{workflow_id}/runs"]
    assert (request["status"], request["key"]) == (200, "local")
    assert [request[name] for name in ("run_id", "workflow_id", "customer_id")] == [run["id"], "telling", "default"]
    assert done.code == 0


@dataclass
class Collector:
    """A minimal OTLP/HTTP collector of traces."""

    spans: list[Any] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_http_request(reader)
            is_compressed = request.headers.get("content-encoding") == "gzip"
            body = gzip.decompress(request.body) if is_compressed else request.body
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    async with run_stream_server(collector.serve) as port:
        collector.url = f"http://127.0.0.1:{port}"
        yield collector


@pytest.mark.slow
async def test_a_trace_connects_request_run_and_action(tmp_path: Path, collector: Collector) -> None:
    exporter = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    dev = await start_dev(tmp_path / "home", {**exporter, "OTEL_BSP_SCHEDULE_DELAY": "100"})
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with open_client() as client:
        await client.get(f"{dev.ready['api']}/approvals/private")
    await run_logging_workflow(dev, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    await stop_dev(dev)

    spans = {span.span_id: span for span in collector.spans if span.trace_id.hex() == trace}
    (action,) = [span for span in spans.values() if span.name == "RunActivity:log.message"]
    names, at = [], action
    while at is not None:
        names.append(at.name)
        at = spans.get(at.parent_span_id)
    wanted = [
        "RunActivity:log.message", "StartActivity:log.message", "StartWorkflow:telling",
        "POST /api/v1/workflows/{workflow_id}/runs",
    ]  # fmt: skip
    assert [name for name in names if name in wanted] == wanted, names
    assert "RunWorkflow:telling" in {span.name for span in spans.values()}
    assert [span.name for span in collector.spans if "/approvals/private" in str(span)] == []
