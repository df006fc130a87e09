"""Whether one node may run before another: the worked example of `planner.precedence`."""

from typing import Any

import pytest

from orchestrator.planner.graph import build_graph
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.regions import find_regions
from orchestrator.planner.report import Report


def put(node_id: str) -> dict[str, Any]:
    return {"id": node_id, "type": "set", "config": {"x": 1}}


PARALLEL = {"id": "both", "type": "parallel", "branches": [["left"], ["right"]]}
LOOP = {"id": "each", "type": "loop", "collection": [1, 2], "body": ["ask"]}
NODES = [put("init"), put("ask"), PARALLEL, put("left"), put("right"), put("done")]


def find_precedence(nodes: list[dict[str, Any]], edges: str) -> tuple[Precedence, dict[str, int]]:
    lines = [edge.split(" -> ") for edge in edges.split(", ")]
    definition = parse_definition(
        {
            "nodes": nodes,
            "edges": [
                {"source": source.partition(" -")[0], "target": target, "condition": source.partition(" -")[2] or None}
                for source, target in lines
            ],
        },
        Report(),
    )
    assert definition is not None
    graph = build_graph(definition, list(enumerate(definition.nodes)), Report())
    return Precedence(find_regions(graph)), graph.index


def may_precede(setter: str, reader: str, nodes: list[dict[str, Any]], edges: str) -> bool:
    precedence, index = find_precedence(nodes, edges)
    return precedence.may_precede(index[setter], index[reader])


@pytest.mark.parametrize(
    ("setter", "reader", "expected"),
    [
        ("init", "right", True),
        ("right", "done", True),
        ("done", "right", False),
        ("left", "right", True),  # an earlier iteration may have set it
        ("ask", "each", True),  # `collect` is computed after the body
        ("each", "ask", False),  # outputs of a loop are set when it has ended
        ("done", "init", False),
        ("init", "init", False),
    ],
)
def test_ranks_are_compared_in_the_lowest_common_region(setter: str, reader: str, expected: bool) -> None:
    edges = "trigger -> init, init -> each, each -> done, ask -> both"

    assert may_precede(setter, reader, [*NODES, LOOP], edges) == expected


def test_branches_do_not_see_variables_of_each_other() -> None:
    edges = "trigger -> init, init -> ask, ask -> both, both -> done"

    assert not may_precede("left", "right", NODES, edges)
    assert may_precede("left", "done", NODES, edges)
