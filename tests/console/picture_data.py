"""What the pictures of the console show: workflows, and the answers of their actions."""

from typing import Any

DECIDED = {
    "type": "object",
    "required": ["approved"],
    "properties": {
        "approved": {"type": "boolean", "title": "Approve the order"},
        "comment": {"type": "string", "title": "Comment"},
    },
}
APPROVAL = {
    "title": "Approve order {{ input.order }} of ${{ input.amount }}?",
    "assignees": ["approvals@acme.example"],
    "form": {"type": "object", "properties": {"comment": {"type": "string", "title": "Comment"}}},
}


def act(node_id: str, name: str, action: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a node that calls an action once."""
    once = {"maximum_attempts": 1}
    return {"id": node_id, "name": name, "type": "action", "action": action, "config": config, "retry": once, **more}


def ask(method: str, path: str, **json: Any) -> dict[str, Any]:
    """Return the parameters of a request."""
    return {"url": f"https://erp.acme.example/{path}", "method": method, **({"json": json} if json else {})}


def connect(*edges: str) -> list[dict[str, Any]]:
    """Return edges: `large true -> ask`."""
    ends = [(*edge.partition(" -> ")[0].split(), edge.partition(" -> ")[2]) for edge in edges]
    return [{"source": end[0], "target": end[-1], **({"condition": end[1]} if len(end) > 2 else {})} for end in ends]


ORDER: dict[str, Any] = {
    "id": "order_flow",
    "name": "Order flow",
    "description": "Reserves the lines of an order, asks for large ones, and charges the card.",
    "trigger": {"type": "event", "event": "order.placed"},
    "settings": {
        "on_error": "pause",
        "keys": {"order": "{{ input.order }}"},
        "input_schema": {
            "type": "object",
            "required": ["order", "amount"],
            "properties": {
                "order": {"type": "integer", "title": "Order"},
                "amount": {"type": "number", "title": "Amount", "description": "In dollars."},
                "tier": {"enum": ["standard", "gold"], "title": "Tier"},
                "lines": {"type": "array", "title": "Lines"},
            },
        },
    },
    "nodes": [
        {
            "id": "customer",
            "name": "Load customer",
            "type": "set",
            "config": {"tier": "{{ input.tier | default('gold') }}"},
        },
        {
            "id": "each",
            "name": "Each line",
            "type": "loop",
            "collection": "{{ input.lines | default([]) }}",
            "item_variable": "line",
        },
        act(
            "reserve",
            "Reserve stock",
            "log.message",
            {"message": "{{ line.sku }}"},
            compensate={"action": "log.message", "config": {"message": "give back"}},
        ),
        {
            "id": "in_stock",
            "name": "In stock?",
            "type": "condition",
            "condition": {"field": "line.available", "operator": "greater_than_or_equals", "value": 2},
        },
        {"id": "take", "name": "Reserve", "type": "set", "config": {"taken": "{{ line.sku }}"}},
        {"id": "backorder", "name": "Backorder", "type": "set", "config": {"missing": "{{ line.sku }}"}},
        {
            "id": "large",
            "name": "Large order?",
            "type": "condition",
            "condition": {"field": "input.amount", "operator": "greater_than", "value": 10_000},
        },
        {
            "id": "decide",
            "name": "Ask the manager",
            "type": "wait",
            "config": {"approval": APPROVAL, "timeout_seconds": 3600},
        },
        {"id": "escalate", "name": "Escalate", "type": "end", "config": {"output": {"escalated": True}}},
        act("charge", "Charge card", "http.request", ask("POST", "charge", amount="{{ input.amount }}")),
        {"id": "done", "name": "Done", "type": "end", "config": {"output": {"charged": "{{ input.amount }}"}}},
    ],
    "edges": connect(
        "trigger -> customer",
        "customer -> each",
        "each body -> reserve",
        "reserve -> in_stock",
        "in_stock true -> take",
        "in_stock false -> backorder",
        "each -> large",
        "large true -> decide",
        "large false -> charge",
        "decide -> charge",
        "decide timeout -> escalate",
        "charge -> done",
    ),
}
BILLING: dict[str, Any] = {
    "id": "nightly_billing",
    "name": "Nightly billing",
    "trigger": {"type": "schedule", "cron": "0 2 * * *", "config": {"timezone": "Europe/Berlin"}},
    "nodes": [
        {"id": "month", "name": "Choose the month", "type": "set", "config": {"month": "2026-11"}},
        act("charge", "Charge all", "sql.query", {"connection": "billing", "statement": "select 1"}),
        {"id": "done", "name": "Done", "type": "end"},
    ],
    "edges": connect("trigger -> month", "month -> charge", "charge -> done"),
}
IMPORT: dict[str, Any] = {
    "id": "price_import",
    "name": "Price import",
    "trigger": {"type": "schedule", "interval_seconds": 3600},
    "nodes": [
        {
            "id": "each",
            "name": "Each article",
            "type": "loop",
            "collection": "{{ input.articles | default([]) }}",
            "config": {"on_item_error": "continue"},
        },
        act("save", "Save the price", "notify.webhook", {"url": "https://shop.acme.example", "text": "{{ item }}"}),
        {
            "id": "done",
            "name": "Done",
            "type": "end",
            "config": {"output": {"failed": "{{ steps.each.output.failed }}"}},
        },
    ],
    "edges": connect("trigger -> each", "each body -> save", "each -> done"),
}
GREETING: dict[str, Any] = {
    "id": "greeting",
    "name": "Greeting",
    "trigger": {"type": "webhook", "webhook_path": "greet"},
    "nodes": [
        {"id": "greet", "name": "Greet", "type": "set", "config": {"text": "Hello {{ input.name | default('you') }}"}},
        {"id": "done", "name": "Done", "type": "end", "config": {"output": {"text": "{{ text }}"}}},
    ],
    "edges": connect("trigger -> greet", "greet -> done"),
}
REFUSED = {"error": {"message": "POST erp.acme.example answered 502 Bad Gateway", "error_type": "action_error"}}
CHARGED = {"output": {"status": 200, "headers": {}, "body": {"receipt": "R-20981"}}}
ANSWERS = {
    "http.request": [CHARGED, CHARGED, CHARGED, CHARGED, REFUSED, CHARGED],
    "sql.query": {"error": {"message": "deadlock detected on table invoices", "error_type": "action_error"}},
    "notify.webhook": [
        {"output": {"status": 200}},
        {"output": {"status": 200}},
        {"error": {"message": "article 3 is unknown", "error_type": "action_error"}},
        {"output": {"status": 200}},
    ],
}
LINES = [{"sku": "A-100", "available": 14}, {"sku": "B-7", "available": 1}, {"sku": "C-31", "available": 8}]
