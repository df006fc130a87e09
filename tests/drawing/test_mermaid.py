"""Definitions as Mermaid text: valid, invalid and malicious ones."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.drawing.mermaid import SHAPES, draw_mermaid
from tests.example_files import EXAMPLES, load_example

LINE = re.compile(
    r"""flowchart\ TD
    | \s+ end
    | \s+ subgraph\ box\d+\["[^"]+"\]
    | \s+ (start|n\d+)(\(\[|\[\[|\[/|\{\{|\[|\{|\()"[^"]+"(\]\)|\]\]|/\]|\\\]|\}\}|\]|\}|\))(:::missing)?
    | \s+ (start|n\d+)\ (-->|-\.->)(\|"[^"]+"\|)?\ (start|n\d+)
    | \s+ classDef\ missing\ stroke-dasharray:\ 4""",
    re.VERBOSE,
)


def make_node(key: str, kind: str = "action", **more: Any) -> dict[str, Any]:
    return {"id": key, "type": kind, "name": key, **more}


def make_edge(source: str, target: str, port: str | None = None, label: str | None = None) -> dict[str, Any]:
    return {"source": source, "target": target, "condition": port, "label": label}


def draw(nodes: list[Any], edges: list[Any], **more: Any) -> list[str]:
    return draw_mermaid({"trigger": {"type": "manual"}, "nodes": nodes, "edges": edges, **more}).splitlines()


def test_nodes_and_edges_are_drawn() -> None:
    nodes = [
        make_node("check", "condition"),
        make_node("pay", action="http.request", name="Pay it"),
        make_node("stop", "end"),
    ]
    edges = [
        make_edge("trigger", "check"),
        make_edge("check", "pay", "true"),
        make_edge("check", "stop", "false", "no"),
        make_edge("pay", "stop", "error"),
    ]

    assert draw(nodes, edges) == [
        "flowchart TD",
        '    start(["manual"])',
        '    n1{"check"}',
        '    n2["Pay it<br/>http.request"]',
        '    n3(["stop"])',
        "    start --> n1",
        '    n1 -->|"true"| n2',
        '    n1 -->|"no: false"| n3',
        '    n2 -.->|"error"| n3',
    ]


def test_bodies_and_branches_are_boxes() -> None:
    nodes = [
        make_node("each", "loop", body=["fork"]),
        make_node("fork", "parallel", branches=[["a", "a2"], ["b"]]),
        *(make_node(key) for key in ("a", "a2", "b", "meet", "after")),
    ]
    edges = [
        *(make_edge("trigger", "each"), make_edge("a", "a2"), make_edge("a2", "meet"), make_edge("b", "meet")),
        *(make_edge("meet", "each"), make_edge("each", "after")),
    ]
    lines = draw(nodes, edges)

    assert lines[3:17] == [
        '    subgraph box1["each"]',
        '        n2[/"fork<br/>join all"\\]',
        '        subgraph box2["branch 1"]',
        '            n3["a"]',
        '            n4["a2"]',
        "        end",
        '        subgraph box3["branch 2"]',
        '            n5["b"]',
        "        end",
        '        n6["meet"]',
        "    end",
        '    n7["after"]',
        "    start --> n1",
        '    n1 -->|"body"| n2',
    ]
    assert [line for line in lines if line.endswith("n4")] == ["    n3 --> n4"]


def test_edges_of_the_ports_body_and_branch_open_boxes_too() -> None:
    nodes = [make_node("each", "loop"), make_node("fork", "parallel"), make_node("a"), make_node("b")]
    edges = [
        make_edge("trigger", "each"),
        make_edge("each", "fork", "body"),
        make_edge("fork", "a", "branch"),
        make_edge("fork", "b", "branch"),
    ]

    assert [line.strip() for line in draw(nodes, edges) if "subgraph" in line] == [
        'subgraph box1["each"]',
        'subgraph box2["branch 1"]',
        'subgraph box3["branch 2"]',
    ]


def test_a_node_reached_from_outside_stays_outside_the_box() -> None:
    nodes = [make_node("check", "condition"), make_node("each", "loop", body=["shared"]), make_node("shared")]
    edges = [make_edge("trigger", "check"), make_edge("check", "each", "true"), make_edge("check", "shared", "false")]

    assert not [line for line in draw(nodes, edges) if "subgraph" in line]


def test_an_edge_named_twice_is_drawn_once() -> None:
    nodes = [make_node("check", "condition", true_branch=["a", "b"]), make_node("a"), make_node("b")]
    edges = [make_edge("trigger", "check"), make_edge("check", "a", "true"), make_edge("a", "b")]

    assert draw(nodes, edges)[5:] == ["    start --> n1", '    n1 -->|"true"| n2', "    n2 --> n3"]


def test_a_draft_without_a_start_has_its_boxes() -> None:
    lines = draw([make_node("each", "loop", body=["a"]), make_node("a"), make_node("odd", "looop")], [])

    assert lines[2:8] == [
        '    n1{{"each<br/>each item"}}',
        '    subgraph box1["each"]',
        '        n2["a"]',
        "    end",
        '    n3["odd<br/>looop?"]',
        '    n1 -->|"body"| n2',
    ]


def test_an_edge_to_an_unknown_node_is_drawn_as_missing() -> None:
    lines = draw([make_node("a")], [make_edge("trigger", "a"), make_edge("a", "ghost"), make_edge("a", "a")])

    assert '    n2["ghost<br/>missing"]:::missing' in lines
    assert "    n1 --> n2" in lines
    assert "    n1 --> n1" in lines


@pytest.mark.parametrize(
    ("trigger", "label"),
    [
        ({"type": "schedule", "cron": "0 8 * * 1"}, "schedule<br/>0 8 #42; #42; 1"),
        ({"type": "schedule", "interval_seconds": 60}, "schedule<br/>every 60 s"),
        ({"type": "event", "event": "order.paid"}, "event<br/>order.paid"),
        ({"type": "webhook", "webhook_path": "/in"}, "webhook<br/>/in"),
        (None, "start"),
    ],
)
def test_the_start_node_shows_the_trigger(trigger: Any, label: str) -> None:
    assert draw_mermaid({"trigger": trigger}).splitlines()[1] == f'    start(["{label}"])'


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('say "hi"', "say #34;hi#34;"),
        ("%%{init: {}}%%", "#37;#37;#123;init: #123;#125;#125;#37;#37;"),
        ("<script>x</script>", "#60;script#62;x#60;/script#62;"),
        ("`code` #1; a\nb", "#96;code#96; #35;1#59; a b"),
        ("1. first", "1#46; first"),
        ("- first", "#45; first"),
        ("Überweisung 支払い", "Überweisung 支払い"),
        ("x" * 200, "x" * 79 + "…"),
    ],
)
def test_names_are_escaped(name: str, label: str) -> None:
    assert f'    n1(["{label}"])' in draw([make_node("a", "end", name=name)], [])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_drawn_with_every_node_and_edge(path: Path) -> None:
    definition = load_example(path)
    lines = draw_mermaid(definition).splitlines()

    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert not [line for line in lines if "missing" in line]
    shown = [line for line in lines if re.match(r"\s+n\d+\W", line) and "->" not in line]
    assert len(shown) == len(definition["nodes"])
    assert len([line for line in lines if "->" in line]) >= len(definition["edges"])


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", "trigger", "", "\n", '"]']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "id", "body"]), inner),
    max_leaves=6,
)
IDS = st.sampled_from(["a", "b", "c", "d", "trigger"])
NODES = st.fixed_dictionaries(
    {"id": IDS | JSON, "type": st.sampled_from([*SHAPES, "odd"]) | JSON},
    optional={
        "name": JSON,
        "config": JSON,
        "body": st.lists(IDS) | JSON,
        "branches": st.lists(st.lists(IDS)) | JSON,
        "true_branch": st.lists(IDS) | JSON,
    },
)
EDGES = st.fixed_dictionaries(
    {"source": IDS | JSON, "target": IDS | JSON},
    optional={"condition": st.sampled_from(["body", "branch", "error"]) | JSON, "label": JSON},
)


@pytest.mark.thorough
@settings(max_examples=300)
@given(st.lists(NODES | JSON, max_size=5) | JSON, st.lists(EDGES | JSON, max_size=8) | JSON, JSON)
def test_any_input_is_drawn(nodes: Any, edges: Any, trigger: Any) -> None:
    text = draw_mermaid({"nodes": nodes, "edges": edges, "trigger": trigger})

    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    assert text.count("subgraph") == len(re.findall(r"^\s+end$", text, re.MULTILINE))


def test_a_long_chain_and_deep_nesting_are_drawn() -> None:
    chain = [make_node(f"c{index}") for index in range(5000)]
    nested = [make_node(f"l{index}", "loop", body=[f"l{index + 1}"]) for index in range(400)]
    links = [make_edge(f"c{index}", f"c{index + 1}") for index in range(4999)]
    lines = draw([*chain, *nested, make_node("l400")], [make_edge("trigger", "c0"), *links, make_edge("c4999", "l0")])

    assert len([line for line in lines if "subgraph" in line]) == 400
