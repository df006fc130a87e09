"""What can be read at a place of a definition, with types."""

import itertools
from typing import Any

from activities import http, log
from activities.registry import build_registry
from orchestrator.model.permissions import Permissions, SecretInfo
from orchestrator.planner.planner import list_names

REGISTRY = build_registry([http, log])
CALLEE = {
    "id": "quote",
    "name": "Quote",
    "trigger": {"type": "manual"},
    "nodes": [{"id": "s", "type": "set", "config": {"price": 12}}],
    "edges": [{"source": "trigger", "target": "s"}],
}
DEFINITION: dict[str, Any] = {
    "name": "x",
    "trigger": {"type": "event", "event": "order.paid"},
    "variables": {"mode": "test"},
    "nodes": [
        {"id": "get", "type": "action", "action": "http.request", "config": {"url": "https://example.com"}},
        {"id": "c", "type": "condition", "condition": {"field": "input.a"}, "true_branch": ["s"]},
        {"id": "s", "type": "set", "config": {"odd name": 1, "t": "{{ steps.get.output.status }}"}},
        {"id": "q", "type": "workflow", "config": {"workflow_id": "quote"}},
        {
            "id": "each",
            "type": "loop",
            "collection": [{"sku": "a"}],
            "body": ["b"],
            "config": {"collect": "{{ item }}", "max_concurrency": 2},
        },
        {"id": "b", "type": "action", "action": "log.message"},
        {"id": "later", "type": "set", "config": {"u": 1}},
    ],
    "edges": [
        {"source": "trigger", "target": "get"},
        {"source": "get", "target": "c"},
        {"source": "c", "condition": "false", "target": "q"},
        {"source": "s", "target": "q"},
        {"source": "q", "target": "each"},
        {"source": "each", "target": "later"},
    ],
}
FIXED = {"input": "any", "trigger": "object or null", "trigger.data": "any", "run.id": "text", "mode": "text"}


def read(pointer: str, **more: Any) -> dict[str, str]:
    found = list_names({**DEFINITION, **more}, pointer, registry=REGISTRY, workflows={"quote": CALLEE})
    return {each.name: f"{each.type}{'?' if each.may_be_missing else ''}" for each in found}


def test_a_value_reads_what_has_run_before_with_its_types() -> None:
    names = read("/nodes/5/config/message")

    expected = {
        **FIXED,
        "steps.get.output.status": "number",
        "t": "number?",
        "steps.s": "object?",
        'steps.s.output["odd name"]': "number",
        "steps.q.output.output.price": "number",
        "item": "object",
        "item.sku": "text",
        "item_index": "number",
    }
    assert {name: names.get(name) for name in expected} == expected
    assert not {"u", "steps.later", "steps.b", "odd name", "steps.get.error"} & names.keys()


def test_each_place_of_a_node_reads_what_is_known_when_it_is_computed() -> None:
    assert read("/nodes/4/config/collect")["steps.b.status"] == "text"
    assert "steps.b" not in read("/nodes/4/collection")
    assert read("/nodes/0/compensate/config/url")["steps.get.output.body"] == "any"
    assert "steps.get" not in read("/nodes/0")
    assert "steps.get" in read("/nodes/1/condition/conditions/0/field")
    assert FIXED.items() <= read("/settings/keys/order").items()
    assert read("/trigger/config/filter/field") == {
        "id": "text",
        "name": "text",
        "data": "any",
        "trigger": "object",
        "trigger.id": "text",
        "trigger.name": "text",
        "trigger.data": "any",
    }


def test_where_nothing_is_computed_there_are_no_names() -> None:
    places = (
        "/name",
        "/nodes/0/type",
        "/nodes/0/retry/maximum_attempts",
        "/nodes/4/config/max_concurrency",
        "/nodes/99",
    )

    assert [read(place) for place in places] == [{}, {}, {}, {}, {}]


def test_a_definition_with_errors_has_names_too() -> None:
    nodes = [{"id": "a", "type": "set", "config": {"t": 1}}, {"id": "b", "type": "set", "config": {"x": "{{ t | "}}]
    edges = [{"source": "trigger", "target": "a"}, {"source": "a", "target": "b"}, {"source": "b", "target": "none"}]

    assert read("/nodes/1/config/x", nodes=nodes, edges=edges)["t"] == "number"


def test_a_large_definition_has_names_without_types() -> None:
    nodes = [{"id": f"n{at}", "type": "set", "config": {f"v{at}": at}} for at in range(3_000)]
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": source, "target": target} for source, target in itertools.pairwise(ids)]

    names = read("/nodes/2999/config/v2999", nodes=nodes, edges=edges)

    assert names["v1"] == "any?"
    assert len(names) == 2_000


def test_secrets_are_named_where_they_may_be_used() -> None:
    permissions = Permissions(secrets={"crm": SecretInfo("crm", "default")})

    def read_secrets(pointer: str) -> list[str]:
        found = list_names(DEFINITION, pointer, registry=REGISTRY, permissions=permissions)
        return [each.name for each in found if each.name.startswith("secrets")]

    assert read_secrets("/nodes/0/config/headers/Authorization") == ["secrets.crm"]
    assert read_secrets("/nodes/2/config/t") == []
