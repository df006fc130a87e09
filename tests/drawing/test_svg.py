"""Layouts as SVG: well-formed, complete, and harmless whatever the names."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from orchestrator.drawing.graph_layout import lay_out
from orchestrator.drawing.layout import Layout
from orchestrator.drawing.svg import RADIUS, draw_path, draw_svg
from tests.example_files import EXAMPLES, load_example
from tests.graphs import Generated, draw_wild

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "text"}
ATTRIBUTES = {
    "width", "height", "viewBox", "role", "aria-label", "id", "class", "d", "x", "y", "rx", "orient", "refX", "refY",
    "markerWidth", "markerHeight", "markerUnits", "marker-end", "data-node", "data-scope", "data-source", "data-port",
    "data-target",
}  # fmt: skip
HOSTILE = (
    "</svg><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "' onload='alert(1)",
    "]]><![CDATA[",
    "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;",
    "javascript:alert(1)",
    "\x00\x1f\ud800\uffff",
    "</style><style>* { fill: red }",
)


def draw(definition: Any) -> ElementTree.Element:
    """Draw a definition, and check that nothing but the elements of a picture is in it."""
    root = ElementTree.fromstring(draw_svg(lay_out(definition), "A title"))
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in TAGS
        assert set(element.attrib) <= ATTRIBUTES
        assert "url(" not in "".join(value for name, value in element.items() if name != "marker-end")
    return root


def list_nodes(root: ElementTree.Element) -> list[str]:
    return [each.attrib["data-node"] for each in root.iter(f"{SVG}g") if "data-node" in each.attrib]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_drawn_with_every_node_and_edge(path: Path) -> None:
    definition = load_example(path)
    root = draw(definition)
    layout = lay_out(definition)

    assert list_nodes(root) == [box.id for box in layout.boxes]
    assert len([each for each in root.iter(f"{SVG}path") if "data-source" in each.attrib]) == len(layout.edges)


@pytest.mark.thorough
@settings(max_examples=100)
@given(draw_wild())
def test_any_graph_is_drawn(generated: Generated) -> None:
    assert list_nodes(draw(generated.definition)) == [box.id for box in lay_out(generated.definition).boxes]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_cannot_become_markup(text: str) -> None:
    """Each place where an author writes: names, IDs, types, labels, conditions, descriptions, the trigger."""
    nodes = [
        {
            "id": text,
            "name": text,
            "description": text,
            "type": "action",
            "action": text,
            "on_error": text,
            "when": text,
        },
        {"id": "c", "type": "condition", "condition": {"field": text, "operator": text, "value": text}},
        {"id": "t", "type": text, "when": text},
        {"id": "s", "type": "switch", "config": {"value": text, "cases": {text: 1}}},
    ]
    edges = [
        {"source": "trigger", "target": text, "label": text},
        {"source": "s", "target": text, "condition": text},
        {"source": text, "target": f"{text} is missing", "label": text},
    ]
    root = draw({"name": text, "trigger": {"type": "event", "event": text}, "nodes": nodes, "edges": edges})

    assert len(list_nodes(root)) == 6


def test_a_node_has_its_name_and_its_description_in_full() -> None:
    name, description = "A name that is far too long for its box, so that it is cut there", "What it is for.\nAnd why."
    node = {"id": "n", "type": "action", "action": "card.charge", "name": name, "description": description}
    root = draw({"nodes": [node], "edges": [{"source": "trigger", "target": "n"}]})
    (drawn,) = [each for each in root.iter(f"{SVG}g") if each.get("data-node") == "n"]

    assert drawn.findtext(f"{SVG}title") == f"{name} · card.charge"
    assert drawn.findtext(f"{SVG}desc") == description
    assert [text.text for text in drawn.iter(f"{SVG}text")][1:] == ["card.charge"]


def test_a_picture_has_a_background_and_colours_for_dark_pages() -> None:
    text = draw_svg(lay_out({}))
    style = text.split("<style>")[1].split("</style>")[0]

    assert '<rect class="back" width="100%" height="100%"/>' in text
    assert "prefers-color-scheme: dark" in style
    assert set(re.findall(r"(--[\w-]+):", style.split("@media")[0])) == set(
        re.findall(r"(--[\w-]+):", style.split("@media")[1])
    )


def test_a_line_has_round_corners_that_fit_into_its_pieces() -> None:
    assert draw_path(((0, 0), (0, 50))) == "M0 0L0 50"
    assert draw_path(((0, 0), (0, 50), (4, 50))) == f"M0 0L0 {50 - RADIUS}Q0 50 2 50L4 50"


def test_an_empty_layout_is_drawn() -> None:
    empty = Layout(width=10, height=10, boxes=(), scopes=(), edges=())

    assert ElementTree.fromstring(draw_svg(empty)).get("viewBox") == "0 0 10 10"
