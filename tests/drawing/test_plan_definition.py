"""Definitions restored from plans are drawn as their own ones."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings

from orchestrator.drawing.formats import draw_plan
from orchestrator.drawing.graph_layout import lay_out
from orchestrator.drawing.layout import Layout
from orchestrator.drawing.plan_definition import restore_definition
from orchestrator.model.plan import Plan
from orchestrator.planner import plan
from tests.example_files import EXAMPLES, load_example
from tests.graphs import Generated, draw_structured


def restore(definition: dict[str, Any]) -> dict[str, Any] | None:
    planned = plan(definition, workflows={})
    return restore_definition(planned, "manual") if isinstance(planned, Plan) else None


def list_boxes(layout: Layout) -> list[tuple[str, str, str]]:
    return [(box.id, box.type, box.scope) for box in layout.boxes]


def list_edges(layout: Layout) -> set[tuple[str, str, str, str]]:
    """Return the edges but those that end the path of an iteration: a plan does not have them."""
    return {(edge.kind, edge.source, edge.port, edge.target) for edge in layout.edges if edge.kind != "exit"}


@pytest.mark.thorough
@settings(max_examples=100)
@given(draw_structured(crossing=2))
def test_a_plan_has_the_graph_of_its_definition(generated: Generated) -> None:
    restored = restore(generated.definition) or {"nodes": []}
    assume(len(restored["nodes"]) == len(generated.definition["nodes"]))  # valid, and all of them can be reached

    own, others = lay_out(generated.definition), lay_out(restored)
    assert list_boxes(others) == list_boxes(own)
    assert list_edges(others) == list_edges(own)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_plan_of_an_example_has_its_titles(path: Path) -> None:
    definition = load_example(path)
    restored = restore(definition)
    if restored is None:
        pytest.skip("it calls other workflows")
    own = {box.id: (box.name, box.detail) for box in lay_out(definition).boxes if box.id != "trigger"}

    assert {box.id: (box.name, box.detail) for box in lay_out(restored).boxes if box.id != "trigger"} == own


def test_a_body_that_begins_twice_is_restored() -> None:
    """One entry leads to the other: in a list of ids, it would be the only one."""
    nodes = [{"id": "each", "type": "loop", "collection": 2}, *({"id": name, "type": "set"} for name in "ab")]
    edges = [("trigger", None, "each"), ("each", "body", "a"), ("each", "body", "b"), ("a", None, "b")]
    definition = {
        "name": "x",
        "trigger": {"type": "manual"},
        "nodes": [node if node["type"] == "loop" else {**node, "config": {"x": 1}} for node in nodes],
        "edges": [{"source": source, "condition": port, "target": target} for source, port, target in edges],
    }
    restored = restore(definition)

    assert restored is not None
    assert list_edges(lay_out(restored)) == list_edges(lay_out(definition))
    assert ("entry", "each", "body", "b") in list_edges(lay_out(restored))


def test_marks_are_restored() -> None:
    node = {
        "id": "pay", "type": "action", "action": "card.charge", "retry": {"max_retries": 7}, "timeout_seconds": 90,
        "on_error": {"fallback": 1}, "compensate": {"action": "card.refund"},
        "when": {"field": "input.amount", "operator": "greater_than", "value": 0},
    }  # fmt: skip
    definition = {
        "name": "x", "trigger": {"type": "manual"}, "nodes": [node], "edges": [{"source": "trigger", "target": "pay"}]
    }  # fmt: skip
    restored = restore(definition)

    assert restored is not None
    assert [box.marks for box in lay_out(restored).boxes] == [box.marks for box in lay_out(definition).boxes]


@pytest.mark.parametrize("drawing_format", ["mermaid", "svg", "layout"])
def test_a_recorded_plan_is_drawn_in_each_format(drawing_format: Any) -> None:
    definition = load_example(EXAMPLES[0])
    planned = plan(definition)
    assert isinstance(planned, Plan)

    text = draw_plan({"plan": planned.to_json(), "trigger_type": "event"}, drawing_format)

    assert all(node["name"] in text for node in definition["nodes"] if len(node["name"]) < 20)
