"""Definitions that the tests of the console run."""

from typing import Any

import httpx

DECISION = {
    "type": "object",
    "required": ["approved"],
    "properties": {
        "approved": {"type": "boolean", "title": "Approve the order"},
        "comment": {"type": "string", "title": "Comment"},
    },
}
ORDER: dict[str, Any] = {
    "id": "order",
    "name": "Order flow",
    "trigger": {"type": "manual"},
    "settings": {
        "input_schema": {
            "type": "object",
            "required": ["amount"],
            "properties": {"amount": {"type": "number", "title": "Amount"}, "lines": {"type": "array"}},
        }
    },
    "nodes": [
        {"id": "each", "type": "loop", "name": "Each line", "collection": "{{ input.lines | default([]) }}"},
        {
            "id": "reserve",
            "type": "action",
            "name": "Reserve stock",
            "action": "log.message",
            "config": {"message": "x"},
        },
        {
            "id": "large",
            "type": "condition",
            "name": "Large order?",
            "condition": {"field": "input.amount", "operator": "greater_than", "value": 1000},
        },
        {"id": "decide", "type": "wait", "name": "Ask the manager", "config": {"event": "decided", "schema": DECISION}},
        {
            "id": "charge",
            "type": "action",
            "name": "Charge card",
            "action": "http.request",
            "config": {"url": "https://pay.example/charge", "method": "POST", "json": {"amount": "{{ input.amount }}"}},
            "retry": {"maximum_attempts": 1},
        },
        {"id": "done", "type": "end", "name": "Done", "config": {"output": {"charged": "{{ input.amount }}"}}},
    ],
    "edges": [
        {"source": "trigger", "target": "each"},
        {"source": "each", "target": "reserve", "condition": "body"},
        {"source": "each", "target": "large"},
        {"source": "large", "target": "decide", "condition": "true"},
        {"source": "large", "target": "charge", "condition": "false"},
        {"source": "decide", "target": "charge"},
        {"source": "charge", "target": "done"},
    ],
}
REFUSED = {"error": {"message": "card network answered 502", "error_type": "action_error"}}
CHARGED = {"output": {"status": 200, "headers": {}, "body": {}}}


async def activate(api: httpx.AsyncClient, definition: dict[str, Any]) -> None:
    """Save and publish a definition."""
    answer = await api.post("/workflows", json=definition)
    assert answer.status_code == 201, answer.text
    answer = await api.post(f"/workflows/{definition['id']}/activate")
    assert answer.status_code == 200, answer.text


async def start(api: httpx.AsyncClient, workflow_id: str, **run_input: Any) -> str:
    """Start a run, and return its ID."""
    answer = await api.post(f"/workflows/{workflow_id}/runs", json={"input": run_input})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
