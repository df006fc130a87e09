"""The reference itself, against expectations made by hand from SPEC §2 and docs/flow.md."""

from typing import Any

import pytest

from tests.golden import read_definition
from tests.reference_graph import Graph
from tests.reference_interpreter import Outcome, run_reference

YES, NO = {"v": True}, {"v": False}
CHECK = {"type": "condition", "condition": {"field": "v", "value": True}}


def reference(nodes: dict[str, Any], edges: list[str], answers: Any = None, **more: Any) -> Outcome:
    definition = read_definition({"nodes": nodes, "edges": edges, **more}, "x", "x")
    return run_reference(definition, answers or {"work": [{}]})


def ids(outcome: Outcome) -> list[str]:
    return [step_id for step_id, _ in outcome.steps]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (["trigger -> a", "a -> b, c", "b -> d", "c -> d"], ["a", "b", "c", "d"]),
        (["trigger -> a", "a -> b, d", "b -> c", "c -> d"], ["a", "b", "c", "d"]),
        (["trigger -> a", "a -> d, b", "b -> c"], ["a", "d", "b", "c"]),
        (["trigger -> d, a", "a -> b", "b -> c, d"], ["a", "b", "c", "d"]),
        (["trigger -> a, c", "a -> b", "c -> d"], ["a", "b", "c", "d"]),
    ],
)
def test_nodes_run_in_order_of_rank(edges: list[str], expected: list[str]) -> None:
    assert ids(reference(dict.fromkeys("abcd", "work"), edges)) == expected


def test_an_edge_back_makes_numbered_steps() -> None:
    outcome = reference(
        {"ask": {"type": "action", "action": "ask", "outputs": ["v"]}, "check": CHECK, "done": "work"},
        ["trigger -> ask", "ask -> check", "check -true-> done", "check -false-> ask"],
        {"ask": [NO, YES], "work": [{}]},
    )

    assert ids(outcome) == ["ask", "check", "ask#2", "check#2", "done"]
    assert outcome.output == {"v": True}


def test_a_body_owns_what_only_it_reaches() -> None:
    graph = Graph(
        read_definition(
            {
                "nodes": {
                    "each": {"type": "loop", "collection": 2, "body": ["a"]},
                    **dict.fromkeys("abc", "work"),
                },
                "edges": ["trigger -> each", "a -> b, c", "each -> c"],
            },
            "x",
            "x",
        )
    )

    assert graph.regions["each", "body"] == {"a", "b"}
    assert graph.rank_nodes(None) == ["each", "c"]


def test_an_edge_out_of_a_body_is_followed_once_after_the_loop() -> None:
    outcome = reference(
        {"each": {"type": "loop", "collection": 2, "body": ["a"]}, **dict.fromkeys("abc", "work")},
        ["trigger -> each", "a -> b", "b -> each", "a -> c", "each -error-> c"],
    )

    assert ids(outcome) == ["each", "each[0]/a", "each[0]/b", "each[1]/a", "each[1]/b", "c"]


def test_branches_do_not_see_each_other_and_merge_in_order() -> None:
    outcome = reference(
        {
            "fork": {"type": "parallel", "branches": [["a"], ["b"]]},
            "a": {"type": "set", "config": {"x": 1}},
            "b": {"type": "set", "config": {"x": 2, "y": "{{ x }}"}},
            "meet": {"type": "set", "config": {"z": "{{ x }}"}},
        },
        ["trigger -> fork", "a -> meet", "b -> meet"],
        variables={"x": 0},
    )

    assert ids(outcome) == ["fork", "fork[0]/a", "fork[1]/b", "meet"]
    assert outcome.output == {"x": 2, "y": 0, "z": 2}


def test_a_shared_branch_target_belongs_to_no_branch() -> None:
    outcome = reference({"fork": {"type": "parallel", "branches": [["a"], ["a"]]}, "a": "work"}, ["trigger -> fork"])

    assert ids(outcome) == ["fork", "a"]


def test_a_loop_variable_shadows_a_variable_inside_the_loop_only() -> None:
    outcome = reference(
        {
            "each": {"type": "loop", "collection": ["p", "q"], "item_variable": "x", "body": ["look"]},
            "look": {"type": "set", "config": {"seen": "{{ x }}"}},
            "after": {"type": "set", "config": {"later": "{{ x }}"}},
        },
        ["trigger -> each", "each -> after"],
        variables={"x": 0},
    )

    assert outcome.output == {"seen": "q", "later": 0}


def test_a_failing_item_ends_its_iteration_only_when_the_loop_continues() -> None:
    outcome = reference(
        {
            "each": {"type": "loop", "collection": 2, "body": ["a"], "config": {"on_item_error": "continue"}},
            "a": {"type": "action", "action": "flaky"},
            "b": "work",
        },
        ["trigger -> each", "a -> b"],
        {"flaky": ["fail", {}], "work": [{}]},
    )

    expected = [
        ("each", "completed"),
        ("each[0]/a", "failed"),
        ("each[1]/a", "completed"),
        ("each[1]/b", "completed"),
    ]
    assert outcome.steps == expected


def test_a_closing_end_closes_its_own_scope() -> None:
    outcome = reference(
        {
            "fork": {"type": "parallel", "branches": [["a"], ["c"]]},
            "stop": {"type": "end", "config": {"output": 1}},
            **dict.fromkeys("abc", "work"),
        },
        ["trigger -> fork", "a -> stop, b"],
    )

    assert ids(outcome) == ["fork", "fork[0]/a", "fork[0]/stop", "fork[1]/c"]
    assert outcome.output == {}


def test_an_endless_cycle_reaches_the_limit() -> None:
    outcome = reference({"a": "work"}, ["trigger -> a", "a -> a"], settings={"max_steps": 5})

    assert (outcome.status, outcome.limit_reached, len(outcome.steps)) == ("failed", True, 5)
