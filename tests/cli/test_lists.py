"""Every list on a terminal of 80 columns: columns are left out before an ID is cut."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from orchestrator.cli import audit, deliveries, keys, moments, output, run_filters, runs, workflows
from orchestrator.cli.client import ApiClient
from orchestrator.cli.server_address import ServerOptions
from tests.cli.commands import invoke

WIDTH = 80
WORKFLOW = "quarterly_reconciliation_of_supplier_invoices"
LONGEST = "w" * 128
TIME = "2026-01-01T00:00:00.000Z"
RUN = {
    "id": f"{WORKFLOW}-7k3m9q2x4t8wjb5n", "workflow_id": WORKFLOW, "status": "completed", "started_at": TIME,
    "duration_ms": 61_000, "trigger_type": "schedule", "workflow_version": 12, "customer_id": "acme",
    "node_id": None, "error": None, "error_type": None, "waiting_for": [], "cancelled_by": None, "reason": None,
}  # fmt: skip
STORED = {
    "id": WORKFLOW, "status": "active", "version": 12, "edited": True, "trigger": {"type": "schedule"},
    "run_count": 4_000, "success_rate": 99.5, "last_run_at": TIME, "name": "Reconciliation", "customer_id": "acme",
}  # fmt: skip
VERSION = {"version": 12, "published_at": TIME, "published_by": f"key {LONGEST}", "copy_of": 3}
DELIVERY = {
    "id": "3f6c1a9e8b2d4c573f6c1a9e8b2d4c57", "kind": "webhook", "name": "shop/orders", "outcome": "rejected",
    "received_at": TIME, "states": {"started": 2}, "reason": "the signature does not match", "key": "evt_1",
    "customer_id": "acme",
}  # fmt: skip
KEY = {
    "id": "9b1d3c5e7f", "name": "deployment from the pipeline of the shop", "scopes": ["read", "run", "edit"],
    "expires_at": None, "revoked_at": None, "created_at": TIME, "customer_id": "acme",
}  # fmt: skip
CHANGE = {
    "at": TIME, "actor": "deploy", "operation": "rollbackWorkflow", "target": "reconcile_supplier_invoices",
    "details": {"version": 12}, "source": "10.0.0.7", "customer_id": "acme",
}  # fmt: skip
NO_FILTER: dict[str, Any] = dict.fromkeys(run_filters.OPTIONS)
LISTS: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = {
    "runs": (runs.list_runs, NO_FILTER, RUN),
    "runs of a workflow with a long ID": (
        runs.list_runs,
        NO_FILTER,
        {**RUN, "id": f"{LONGEST}-7k3m", "workflow_id": LONGEST},
    ),
    "workflows": (workflows.list_workflows, {}, STORED),
    "a workflow with a long ID": (workflows.list_workflows, {}, {**STORED, "id": LONGEST}),
    "versions": (workflows.versions, {"workflow": WORKFLOW}, VERSION),
    "deliveries": (deliveries.list_deliveries, {}, DELIVERY),
    "keys": (keys.list_keys, {}, KEY),
    "changes": (audit.list_audit, {}, CHANGE),
}
"""By name the command, its arguments, and an item of what the API answers."""
ENTIRE = {
    "runs": f"{RUN['id']}  completed",
    "runs of a workflow with a long ID": f"{LONGEST}-7k3m",
    "workflows": f"{WORKFLOW}  active  12 + edits  schedule",
    "a workflow with a long ID": LONGEST,
    "versions": "12       2000 d ago  3",
    "deliveries": f"{DELIVERY['id']}  webhook  shop/orders  rejected  2000 d ago",
    "keys": "9b1d3c5e7f  deployment from the pipeline of the shop  read,run,edit  valid",
    "changes": "2000 d ago  deploy  rollbackWorkflow  reconcile_supplier_invoices  10.0.0.7",
}
"""The line of that item: each cell is whole or absent."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    for module in (output, moments):
        monkeypatch.setattr(module, "is_terminal", lambda: True)
    monkeypatch.setattr(moments, "format_relative", lambda *_: "2000 d ago")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("name", LISTS)
def test_a_list_cuts_no_id_at_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, arguments, item = LISTS[name]
    page = httpx.Response(200, json={"items": [item], "next_cursor": None})
    client = ApiClient(ServerOptions(url="http://api.example"), httpx.MockTransport(lambda _: page))
    command(client, **arguments)
    heading, line = capsys.readouterr().out.splitlines()

    assert line.rstrip() == ENTIRE[name]
    assert len(heading) <= WIDTH or str(item.get("id")).startswith(LONGEST)


@pytest.mark.usefixtures("terminal")
def test_the_list_of_actions_cuts_descriptions_and_not_names() -> None:
    """The column of descriptions was left out as a whole."""
    heading, *lines = invoke("actions", "list").stdout.splitlines()

    assert heading.split() == ["action", "description"]
    assert [line for line in lines if line.startswith("http.request    Send an HTTP request. ") and line.endswith("…")]
    assert [line for line in [heading, *lines] if len(line) > WIDTH] == []


@pytest.mark.usefixtures("terminal")
def test_the_list_of_secrets_cuts_no_name() -> None:
    name = "KEY_OF_THE_PAYMENT_PROVIDER_FOR_THE_SHOP_IN_THE_NORTH_AND_IN_THE_SOUTH_OF_THE_COUNTRY"
    lines = invoke("secrets", "list", env={f"ORCHESTRATOR_SECRET_{name}": "x" * 20}).stdout.splitlines()

    assert [line.strip() for line in lines] == ["secret", name.lower()]
