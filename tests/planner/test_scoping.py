"""Whether one node may set a variable before another reads it: the worked example of `planner.scoping`."""

from typing import Any

import pytest

from orchestrator.planner.graph import build_graph
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.regions import find_regions
from orchestrator.planner.report import Report
from orchestrator.planner.scoping import Names


def put(node_id: str) -> dict[str, Any]:
    return {"id": node_id, "type": "set", "config": {"x": 1}}


PARALLEL = {"id": "both", "type": "parallel", "branches": [["left"], ["right"]]}
LOOP = {"id": "each", "type": "loop", "collection": [1, 2], "body": ["ask"]}
NODES = [put("init"), put("ask"), PARALLEL, put("left"), put("right"), put("done")]


def may_precede(setter: str, reader: str, nodes: list[dict[str, Any]], edges: str) -> bool:
    lines = [edge.split(" -> ") for edge in edges.split(", ")]
    definition = parse_definition(
        {"nodes": nodes, "edges": [{"source": source, "target": target} for source, target in lines]}, Report()
    )
    assert definition is not None
    graph = build_graph(definition, list(enumerate(definition.nodes)), Report())
    names = Names(definition, find_regions(graph), [[] for _ in graph.nodes], Report())
    return names.may_precede(graph.index[setter], graph.index[reader])


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
