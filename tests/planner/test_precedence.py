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


CHECK = {"id": "check", "type": "condition", "condition": {"field": "item", "operator": "exists"}}
PARTS = [*NODES, LOOP, CHECK, *(put(name) for name in ("ship", "refund", "mail", "log"))]
CHOICE = "trigger -> each, ask -> check, check -true -> ship, check -false -> refund, ship -> mail, refund -> mail"


@pytest.mark.parametrize(
    ("edges", "step", "reader", "expected"),
    [
        (CHOICE, "ask", "ship", True),
        (CHOICE, "ship", "mail", True),
        (CHOICE, "mail", "ship", False),
        (CHOICE, "refund", "ship", False),  # on the other path
        (CHOICE, "ship", "refund", False),
        (CHOICE, "ship", "each", True),  # `collect` is computed after the body, `while` before the next iteration
        (CHOICE, "each", "ship", True),  # no iteration forgets it: the loop is not in a body
        (f"{CHOICE}, ship -> log, mail -> ask", "mail", "ship", True),  # a cycle runs it again
        ("trigger -> each, ask -> ship, ask -> refund", "ship", "refund", True),  # both follow one port
        ("trigger -> each, ask -> ship, ask -> refund", "refund", "ship", False),
        ("trigger -> each, ask -> both", "left", "right", False),  # branches do not see each other
        ("trigger -> each, ask -> both, both -> mail", "left", "mail", True),
        ("trigger -> each, each -> done", "done", "ask", True),  # outside of the body: another rule
        ("trigger -> init, init -> done", "done", "init", True),
    ],
)
def test_a_body_reads_what_may_have_run_in_the_same_iteration(
    edges: str, step: str, reader: str, expected: bool
) -> None:
    precedence, index = find_precedence(PARTS, edges)

    assert precedence.may_precede_in_iteration(index[step], index[reader]) == expected
