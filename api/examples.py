"""Examples of responses by model: shown in the OpenAPI description, and validated by a test."""

from typing import Any

from pydantic import BaseModel

from api.models.runs import RerunView, RunStarted, RunView
from api.models.schedules import ScheduleView
from api.models.triggers import DeliveryView
from api.models.workflows import EXAMPLE, WorkflowDocument
from api.paging import Page
from orchestrator.model.run import Run

RUN_ID = "greeting-7k3m9q2x4t8wjb5n"
BEGIN, END = "2026-01-31T08:00:00.125000Z", "2026-01-31T08:00:00.141000Z"
LINKS = {
    "self": f"/api/v1/runs/{RUN_ID}",
    "temporal_ui": f"http://127.0.0.1:8233/namespaces/default/workflows/{RUN_ID}",
}
SUMMARY = {
    "id": RUN_ID, "workflow_id": "greeting", "workflow_version": 1, "customer_id": "acme", "status": "completed",
    "trigger_type": "manual", "started_at": BEGIN, "completed_at": END, "duration_ms": 16, "rerun_of": None,
    "cancelled_by": None, "cancel_reason": None, "workflow_name": "Greeting", "parent_run_id": None, "waiting_for": [],
    "error": None, "keys": {},
}  # fmt: skip
ROW = {**SUMMARY, "reason": None, "node_id": None, "error_type": None, "as_of": END}
STEP: dict[str, Any] = {
    "path": "", "status": "completed", "started_at": BEGIN, "completed_at": BEGIN, "input_data": {},
    "output_data": {}, "error": None, "retry_count": 0, "attempts": [], "next_attempt_at": None, "run_id": None,
    "duration_ms": 0, "warnings": [], "decision": None, "progress": None, "reused": False,
}  # fmt: skip
RUN = {
    **SUMMARY,
    "trigger_data": None, "input_data": {"name": "Ada"}, "context": {"text": "Hello Ada"},
    "steps": [
        {**STEP, "id": "greet", "node_id": "greet", "output_data": {"text": "Hello Ada"}},
        {**STEP, "id": "done", "node_id": "done"},
    ],
    "current_node_id": None, "failure": None, "output": {"text": "Hello Ada"}, "steps_completed": 2,
    "steps_total": 2, "reruns": [], "warnings": [], "interventions": [], "calls": [], "moving_to": None,
    "complete": True, "links": LINKS,
    "usage": {
        "executions": 1, "events": 11, "bytes": 2_816, "steps": 2, "worker_seconds": 0.004, "complete": True,
    },
}  # fmt: skip
WORKFLOW = {
    **EXAMPLE,
    "customer_id": "acme", "status": "active", "version": 1, "edited": False, "created_at": "2026-01-30T16:20:00Z",
    "updated_at": "2026-01-30T16:25:00Z", "created_by": "ci", "run_count": 1, "success_count": 1, "failure_count": 0,
    "last_run_at": BEGIN, "success_rate": 100.0,
}  # fmt: skip
DELIVERY = {
    "id": "b2dd0886-1293-404e-b1b8-9c63ef009fd3", "customer_id": "acme", "kind": "event", "name": "order.paid",
    "key": "evt-1", "outcome": "accepted", "reason": None, "duplicate_of": None, "redrive_of": None,
    "received": {"id": "evt-1", "name": "order.paid", "data": {"order_id": 4711}}, "received_at": BEGIN,
    "runs": [{"workflow_id": "fulfilment", "run_id": RUN_ID, "state": "started", "reason": None}],
    "states": {"started": 1},
    "asked": [
        {
            "workflow_id": "fulfilment", "version": 1, "trigger": "order.*", "answer": "start", "reason": None,
            "decision": None,
        }
    ],
}  # fmt: skip

RESPONSES: dict[type[BaseModel], dict[str, Any]] = {
    Run: RUN,
    RunStarted: {"id": RUN_ID, "workflow_id": "greeting", "duplicate": False, "links": LINKS},
    Page[RunView]: {"items": [ROW], "next_cursor": None},
    RerunView: {
        "from_node": "done", "begins_at": ["done"], "version": 1, "reused": ["greet"], "again": ["done"],
        "continued": [], "kept_keys": [], "undone": [],
        "nodes": [
            {"name": "greet", "reused": 1, "again": 0, "continued": 0, "kept_keys": 0, "undone": 0},
            {"name": "done", "reused": 0, "again": 1, "continued": 0, "kept_keys": 0, "undone": 0},
        ],
        "iterations": [],
    },
    WorkflowDocument: WORKFLOW,
    Page[WorkflowDocument]: {"items": [WORKFLOW], "next_cursor": None},
    ScheduleView: {
        "installed": True, "paused": False, "next_times": ["2026-02-01T01:30:00Z", "2026-02-02T01:30:00Z"],
    },
    DeliveryView: DELIVERY,
    Page[DeliveryView]: {"items": [DELIVERY], "next_cursor": None},
}  # fmt: skip
