"""Layouts of graphs: boxes apart, edges from border to border, text in its box; for random graphs, too."""

import json
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.drawing import scope_tree
from orchestrator.drawing.graph_layout import lay_out
from orchestrator.drawing.isotonic import place_in_order
from orchestrator.drawing.layout import (
    DETAIL_SIZE,
    SMALL_SIZE,
    TEXT_LEFT,
    TITLE_SIZE,
    Box,
    LaidEdge,
    Layout,
    Point,
    ScopeFrame,
)
from orchestrator.drawing.text_width import measure_text
from orchestrator.errors import OperationRefused
from tests.example_files import EXAMPLES, load_example
from tests.graphs import Generated, draw_structured, draw_wild

Rectangle = Box | ScopeFrame
EXAMPLES_OF_EACH = 150


def make_graph(*nodes: dict[str, Any], edges: str, **more: Any) -> dict[str, Any]:
    """Build a definition; an edge is `a -> b` or `a port -> b`."""
    parts = [edge.split(" -> ") for edge in edges.split(", ")]
    drawn = [
        {"source": source.split(" ")[0], "condition": source.partition(" ")[2] or None, "target": target}
        for source, target in parts
    ]
    return {"trigger": {"type": "manual"}, "nodes": list(nodes), "edges": drawn, **more}


def make_nodes(names: str, kind: str = "action", **more: Any) -> list[dict[str, Any]]:
    return [{"id": name, "type": kind, **more} for name in names.split()]


def index_boxes(layout: Layout) -> dict[str, Box]:
    return {box.id: box for box in layout.boxes}


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def contains(outer: Rectangle, inner: Rectangle) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def touches(place: Rectangle, point: Point) -> bool:
    """Return whether a point is on the border of a rectangle."""
    x, y = point[0] - place.x, point[1] - place.y
    inside = 0 <= x <= place.width and 0 <= y <= place.height
    return inside and (x in (0, place.width) or y in (0, place.height))


def crosses(begin: Point, end: Point, box: Box) -> bool:
    """Return whether a piece of a line passes through the inside of a box."""
    (left, right), (top, bottom) = sorted((begin[0], end[0])), sorted((begin[1], end[1]))
    return left < box.x + box.width and right > box.x and top < box.y + box.height and bottom > box.y


def check_layout(layout: Layout, *, routed: bool = True) -> None:
    """Check what holds for every layout; edges pass through no box where the places of boxes are ours."""
    boxes, frames = index_boxes(layout), {frame.path: frame for frame in layout.scopes}
    by_scope: dict[str, list[Box]] = {}
    for box in layout.boxes:
        by_scope.setdefault(box.scope, []).append(box)
        check_text(box)
        assert 0 <= box.x <= box.x + box.width <= layout.width
        assert 0 <= box.y <= box.y + box.height <= layout.height
        assert not box.scope or contains(frames[box.scope], box), box.id
    for members in by_scope.values():
        assert [(one.id, other.id) for one, other in combinations(members, 2) if overlap(one, other)] == []
    check_frames(layout.scopes, boxes)
    for edge in layout.edges:
        check_edge(edge, boxes, frames, by_scope[edge.scope] if routed else [])


def check_frames(frames: tuple[ScopeFrame, ...], boxes: dict[str, Box]) -> None:
    assert [frame.path for frame in frames if not contains(boxes[frame.owner], frame)] == []
    for one, other in combinations(frames, 2):
        assert one.owner != other.owner or not overlap(one, other)


def check_text(box: Box) -> None:
    """Check that no text leaves its box."""
    room = box.width - 2 * TEXT_LEFT
    assert measure_text(box.title, TITLE_SIZE) <= room
    assert measure_text(box.detail, DETAIL_SIZE) <= room
    for mark in box.marks:
        assert box.x <= mark.x <= mark.x + mark.width <= box.x + box.width
        assert box.y < mark.y <= mark.y + mark.height < box.y + box.height
        assert measure_text(mark.text, SMALL_SIZE) <= mark.width
    assert [pair for pair in combinations(box.marks, 2) if overlap(*pair)] == []  # type: ignore[arg-type]


def check_edge(edge: LaidEdge, boxes: dict[str, Box], frames: dict[str, ScopeFrame], members: list[Box]) -> None:
    """Check that an edge joins borders by horizontal and vertical pieces, and passes through no box."""
    first: Rectangle = frames[edge.scope] if edge.kind == "entry" else boxes[edge.source]
    last: Rectangle = frames[edge.scope] if edge.kind == "exit" else boxes[edge.target]
    assert touches(first, edge.points[0]), edge
    assert touches(last, edge.points[-1]), edge
    for begin, end in pairwise(edge.points):
        assert begin[0] == end[0] or begin[1] == end[1], edge
        assert [box.id for box in members if crosses(begin, end, box)] == [], edge


@pytest.mark.slow
@settings(max_examples=EXAMPLES_OF_EACH)
@given(draw_structured(crossing=3, rich=True))
def test_any_structured_graph_is_laid_out(generated: Generated) -> None:
    layout = lay_out(generated.definition)

    check_layout(layout)
    assert {box.id for box in layout.boxes} >= {node["id"] for node in generated.definition["nodes"]}


@pytest.mark.slow
@settings(max_examples=EXAMPLES_OF_EACH)
@given(draw_wild())
def test_any_graph_is_laid_out(generated: Generated) -> None:
    layout = lay_out(generated.definition)

    check_layout(layout)
    assert sorted(box.id for box in layout.boxes) == sorted(
        ["trigger", *(node["id"] for node in generated.definition["nodes"])]
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_laid_out(path: Any) -> None:
    definition = load_example(path)

    check_layout(lay_out(definition), routed=not any(node.get("position") for node in definition["nodes"]))


def test_a_layout_is_the_same_each_time() -> None:
    definition = load_example(EXAMPLES[0])

    assert lay_out(definition) == lay_out(json.loads(json.dumps(definition)))


def test_ports_have_fixed_places() -> None:
    """True is at the left and false at the right, whichever is drawn first; an error leaves by the side."""
    nodes = [*make_nodes("c", "condition"), *make_nodes("no yes caught")]
    layout = lay_out(make_graph(*nodes, edges="trigger -> c, c false -> no, c true -> yes, yes error -> caught"))
    boxes = index_boxes(layout)
    edges = {edge.port: edge for edge in layout.edges if edge.source != "trigger"}
    c = boxes["c"]

    assert boxes["yes"].x < boxes["no"].x
    assert c.x < edges["true"].points[0][0] < c.x + c.width // 2 < edges["false"].points[0][0] < c.x + c.width
    assert edges["error"].points[0][0] == boxes["yes"].x + boxes["yes"].width
    assert (edges["true"].label, edges["false"].label, edges["error"].label) == ("true", "false", "error")


def test_a_chain_is_straight() -> None:
    names = "a wider_than_the_others b"
    layout = lay_out(
        make_graph(*make_nodes(names), edges="trigger -> a, a -> wider_than_the_others, wider_than_the_others -> b")
    )

    assert [len(edge.points) for edge in layout.edges] == [2, 2, 2]


def test_an_edge_past_several_layers_turns_only_at_its_ends() -> None:
    """Beside boxes of different widths, too."""
    nodes = [*make_nodes("c", "condition"), *make_nodes("a much_wider_than_the_others b d")]
    chain = "a -> much_wider_than_the_others, much_wider_than_the_others -> b, b -> d"
    layout = lay_out(make_graph(*nodes, edges=f"trigger -> c, c true -> a, {chain}, c false -> d"))
    (past,) = [edge for edge in layout.edges if edge.port == "false"]

    assert len({x for x, _ in past.points}) <= 3


def test_an_edge_back_runs_at_the_right() -> None:
    nodes = [*make_nodes("ask"), *make_nodes("ready", "condition")]
    layout = lay_out(make_graph(*nodes, edges="trigger -> ask, ask -> ready, ready false -> ask"))
    (back,) = [edge for edge in layout.edges if edge.kind == "back"]

    assert (back.source, back.target) == ("ready", "ask")
    assert max(x for x, _ in back.points) > max(box.x + box.width for box in layout.boxes)


def test_branches_are_beside_each_other_in_their_order() -> None:
    """The renderer of before drew them in any order."""
    nodes = [*make_nodes("p", "parallel", branches=[["z"], ["a"], [], ["m"]]), *make_nodes("z a m join")]
    layout = lay_out(make_graph(*nodes, edges="trigger -> p, z -> join, a -> join"))

    assert [frame.path for frame in sorted(layout.scopes, key=lambda frame: frame.x)] == [
        "p[0]",
        "p[1]",
        "p[2]",
        "p[3]",
    ]
    assert [frame.title for frame in layout.scopes] == ["branch 1", "branch 2", "branch 3", "branch 4"]
    assert len({frame.y for frame in layout.scopes}) == 1
    assert {box.id: box.scope for box in layout.boxes} == {
        "trigger": "", "p": "", "join": "", "z": "p[0]", "a": "p[1]", "m": "p[3]"
    }  # fmt: skip


def test_an_edge_out_of_a_branch_is_followed_by_the_parallel() -> None:
    nodes = [*make_nodes("p", "parallel", branches=[["a"], ["b"]]), *make_nodes("a b join")]
    layout = lay_out(make_graph(*nodes, edges="trigger -> p, a -> join, b -> join"))

    assert [(edge.kind, edge.source, edge.target, edge.scope) for edge in layout.edges if edge.source != "trigger"] == [
        ("onward", "p", "join", ""),
        ("entry", "p", "a", "p[0]"),
        ("exit", "a", "join", "p[0]"),
        ("entry", "p", "b", "p[1]"),
        ("exit", "b", "join", "p[1]"),
    ]


def test_an_edge_to_its_own_loop_ends_the_iteration() -> None:
    nodes = [*make_nodes("each", "loop", body=["a"]), *make_nodes("a after")]
    layout = lay_out(make_graph(*nodes, edges="trigger -> each, a -> each, each -> after"))

    assert [(edge.kind, edge.source, edge.target) for edge in layout.edges] == [
        ("forward", "trigger", "each"),
        ("forward", "each", "after"),
        ("entry", "each", "a"),
        ("exit", "a", "each"),
    ]


def place(definition: dict[str, Any], **positions: tuple[Any, Any]) -> dict[str, Any]:
    nodes = [
        {**node, "position": {"x": positions[node["id"]][0], "y": positions[node["id"]][1]}}
        if node["id"] in positions
        else node
        for node in definition["nodes"]
    ]
    return {**definition, "nodes": nodes}


CHAIN = make_graph(*make_nodes("a b c"), edges="trigger -> a, a -> b, b -> c, c -> a")


def test_positions_of_the_author_win_where_all_nodes_have_one() -> None:
    layout = lay_out(place(CHAIN, a=(100, 50), b=(400, 50), c=(400.5, 250)))
    a, b, c = (index_boxes(layout)[name] for name in "abc")

    assert (b.x - a.x, b.y - a.y) == (300, 0)
    assert (c.x - a.x, c.y - a.y) == (300, 200)
    check_layout(layout, routed=False)


def test_boxes_too_close_for_their_text_are_moved_apart() -> None:
    """They keep their order, and what is beside them comes along."""
    layout = lay_out(place(CHAIN, a=(0, 0), b=(60, 10), c=(120, 0)))
    a, b, c = (index_boxes(layout)[name] for name in "abc")

    assert a.x + a.width < b.x < b.x + b.width < c.x
    assert (b.y - a.y, c.y - a.y) == (10, 0)
    check_layout(layout, routed=False)


@pytest.mark.slow
@settings(max_examples=EXAMPLES_OF_EACH)
@given(draw_structured(crossing=2), st.data())
def test_any_positions_keep_boxes_apart(generated: Generated, data: st.DataObject) -> None:
    spots = st.fixed_dictionaries({"x": st.integers(-300, 300), "y": st.integers(-300, 300) | st.floats(0, 99)})
    nodes = [{**node, "position": data.draw(spots)} for node in generated.definition["nodes"]]

    check_layout(lay_out({**generated.definition, "nodes": nodes}), routed=False)


@pytest.mark.parametrize(
    "positions",
    [
        {"a": (0, 0), "b": (300, 0)},
        {"a": (0, 0), "b": (300, 0), "c": (0, 0)},
        {"a": (0, 0), "b": (300, 0), "c": (float("nan"), 0)},
        {"a": (0, 0), "b": (300, 0), "c": (True, 10**400)},
        {"a": (0, 0), "b": (300, 0), "c": ("300", 10)},
    ],
    ids=["one is missing", "two are the same", "not a number", "too large", "text"],
)
def test_positions_that_cannot_be_used_are_ignored(positions: dict[str, Any]) -> None:
    assert lay_out(place(CHAIN, **positions)) == lay_out(CHAIN)


AMOUNT = {"field": "{{ input.amount }}", "operator": "greater_than", "value": 1000}


def test_marks_say_in_words_how_a_node_runs() -> None:
    node = {
        "id": "pay", "type": "action", "action": "card.charge", "name": "Charge", "description": "Charges the card.",
        "when": {"type": "or", "conditions": [AMOUNT, {"field": "vip", "operator": "exists"}]},
        "retry": {"max_retries": 5}, "timeout_seconds": 1800,
        "on_error": {"retry_from": "pay", "max": 2}, "compensate": {"action": "card.refund"},
    }  # fmt: skip
    pay = index_boxes(lay_out(make_graph(node, edges="trigger -> pay")))["pay"]

    assert (pay.title, pay.detail, pay.description) == ("Charge", "card.charge", "Charges the card.")
    assert [(mark.kind, mark.text) for mark in pay.marks] == [
        ("when", "only if input.amount > 1000 or vi…"),
        ("retry", "up to 5 attempts"),
        ("timeout", "at most 1,800 s"),
        ("on_error", "on error: back to pay, max 2"),
        ("compensate", "undo: card.refund"),
    ]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"type": "condition", "condition": AMOUNT}, "input.amount > 1000"),
        (
            {"type": "condition", "condition": {"type": "not", "condition": {"preset": "ticket_urgent"}}},
            "not ticket_urgent",
        ),
        ({"type": "condition", "condition": [["odd"]]}, "[…]"),
        ({"type": "switch", "config": {"value": "{{ tier }}", "cases": {}}}, "{{ tier }}"),
        ({"type": "delay", "delay_seconds": 30}, "30 s"),
        ({"type": "wait", "config": {"event": "paid"}}, "event paid"),
        ({"type": "looop"}, "looop?"),
    ],
)
def test_the_line_below_the_title_says_what_a_node_does(definition: dict[str, Any], words: str) -> None:
    layout = lay_out(make_graph({"id": "n", **definition}, edges="trigger -> n"))

    assert index_boxes(layout)["n"].detail == words


NAMES = {
    "long": "x" * 5_000,
    "wide": "W" * 60,
    "Japanese": "支払い" * 40,
    "control characters": "\u202ereversed\u0000\ud800 \U0001f600" * 9,
    "lines": "a\nb\tc " * 30,
    "capitals": "ÄÖÜ ЩЖ " * 20,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_cut_to_fit_its_box(name: str) -> None:
    layout = lay_out(make_graph({"id": "n", "type": "end", "name": name}, edges="trigger -> n"))
    box = index_boxes(layout)["n"]

    check_layout(layout)
    assert box.title.endswith("…")
    assert box.width < 300
    assert box.title.isprintable()


@pytest.mark.parametrize("count", [400, 5_000])
def test_a_long_chain_is_laid_out(count: int) -> None:
    """The renderer of before refused 400 nodes."""
    ids = ["trigger", *(f"n{number}" for number in range(count))]
    errors = [{"source": source, "target": ids[-1], "condition": "error"} for source in ids[1:-1]]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    nodes = [{"id": each, "type": "action"} for each in ids[1:]]
    layout = lay_out({"nodes": nodes, "edges": [*edges, *errors]})

    assert [box.id for box in layout.boxes] == ids
    assert [box.y for box in layout.boxes] == sorted(box.y for box in layout.boxes)
    assert layout.width < 1_000


def make_loops(loops: int, nodes: int) -> dict[str, Any]:
    """Return a chain of loops, each with a chain of nodes and, in the first, a loop within."""
    drawn = []
    for loop in range(loops):
        chain = [f"l{loop}", *(f"n{loop}_{number}" for number in range(nodes))]
        drawn += [f"{'trigger' if not loop else f'l{loop - 1}'} -> l{loop}", f"{chain[0]} body -> {chain[1]}"]
        drawn += [f"{source} -> {target}" for source, target in pairwise(chain[1:])]
    ids = [f"n{loop}_{number}" for loop in range(loops) for number in range(nodes) if (loop, number) != (0, 0)]
    inner = {"id": "n0_0", "type": "loop", "body": ["inner"]}
    outer = make_nodes(" ".join(f"l{loop}" for loop in range(loops)), "loop")
    return make_graph(*outer, inner, *make_nodes(" ".join(ids)), *make_nodes("inner"), edges=", ".join(drawn))


def test_boxes_of_a_large_graph_are_folded_but_for_those_that_are_opened() -> None:
    large = make_loops(loops=20, nodes=30)  # 20 loops with 30 nodes each, and one in the loop n0_0
    folded, opened = lay_out(large, ()), lay_out(large, ("l0", "n1_0"))
    inner = lay_out(large, ("l0", "n0_0"))

    assert [box.id for box in folded.boxes] == ["trigger", *(f"l{loop}" for loop in range(20))]
    assert [len(box.folded) for box in folded.boxes[1:4]] == [31, 30, 30]
    assert folded.scopes == ()
    assert len(lay_out(large).boxes) == 622
    assert {box.folded for box in lay_out(large).boxes} == {()}
    assert [scope.path for scope in opened.scopes] == ["l0"]
    assert len(index_boxes(opened)["n0_0"].folded) == 1
    assert [scope.path for scope in inner.scopes] == ["l0", "l0/n0_0"]
    for layout in (folded, opened, inner):
        check_layout(layout)


def test_a_graph_of_up_to_400_nodes_is_drawn_whole() -> None:
    small = make_loops(loops=10, nodes=38)

    assert len(lay_out(small, ()).boxes) == 392


def test_deep_nesting_is_laid_out() -> None:
    nested = [{"id": f"l{index}", "type": "loop", "body": [f"l{index + 1}"]} for index in range(400)]
    layout = lay_out(make_graph(*nested, *make_nodes("l400"), edges="trigger -> l0"))

    check_layout(layout)
    assert index_boxes(layout)["l400"].scope == "/".join(f"l{index}" for index in range(400))


def test_a_drawing_does_not_outgrow_its_definition() -> None:
    """The paths of 3,000 levels take 73 MB."""
    nested = [{"id": f"{index}", "type": "loop", "body": [f"{index + 1}"]} for index in range(3_000)]

    with pytest.raises(OperationRefused, match="nested too deep"):
        lay_out(make_graph(*nested, edges="trigger -> 0"))


def test_a_graph_with_too_many_branches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_tree, "MAX_SCOPES", 9)
    branches: list[list[str]] = [[]] * 8

    lay_out(make_graph(*make_nodes("p", "parallel", branches=branches), edges="trigger -> p"))
    with pytest.raises(OperationRefused, match="more than 9 scopes"):
        lay_out(make_graph(*make_nodes("p", "parallel", branches=[*branches, []]), edges="trigger -> p"))


@pytest.mark.parametrize("definition", [{}, {"nodes": []}, {"nodes": "x", "edges": 3}, {"trigger": {"type": "event"}}])
def test_a_definition_without_nodes_has_a_start(definition: dict[str, Any]) -> None:
    assert [box.id for box in lay_out(definition).boxes] == ["trigger"]


@given(st.lists(st.tuples(st.integers(-100, 100), st.integers(1, 9), st.integers(0, 50)), min_size=1, max_size=12))
def test_places_keep_their_distances_and_wishes_that_do(rows: list[tuple[int, int, int]]) -> None:
    wanted, weights, distances = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows[1:]]
    placed = place_in_order(wanted, weights, distances)

    def keep_distances(places: list[float]) -> bool:
        return all(
            after - before >= distance - 1e-6
            for (before, after), distance in zip(pairwise(places), distances, strict=True)
        )

    assert keep_distances(placed)
    if keep_distances([float(each) for each in wanted]):
        assert placed == pytest.approx(wanted)
