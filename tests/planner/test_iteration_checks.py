"""Variables that iterations share by mistake, and cycles that never let a run rest, are warnings."""

from typing import Any

import pytest

from activities import http, log
from activities.registry import build_registry
from orchestrator.planner.planner import check
from tests.golden import read_edges

REGISTRY = build_registry([http, log])
GET = {"type": "action", "action": "http.request", "config": {"url": "https://example.com"}}
CHOICE = {"type": "condition", "condition": {"field": "input.a"}}
CODES = ("shared_variable", "busy_cycle", "variable_conflict")
Nodes = dict[str, dict[str, Any]]


def put(**values: Any) -> dict[str, Any]:
    return {"type": "set", "config": values}


def each(body: list[str], **config: Any) -> dict[str, Any]:
    return {"type": "loop", "collection": [1, 2], "body": body, "config": config}


def find(nodes: Nodes, *edges: str, **more: Any) -> list[str]:
    definition = {
        "name": "x",
        "trigger": {"type": "manual"},
        "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
        "edges": [edge for line in edges for edge in read_edges(line)],
        **more,
    }
    problems = check(definition, registry=REGISTRY).problems
    assert [problem for problem in problems if problem.severity == "error"] == []
    return [f"{problem.code} {problem.path}" for problem in problems if problem.code in CODES]


def test_concurrent_iterations_that_read_and_set_one_variable() -> None:
    shared = ["shared_variable /nodes/1/config/max_concurrency"]

    def count(*body_edges: str, concurrency: int = 2, **nodes: Any) -> list[str]:
        loop = each([next(iter(nodes))], max_concurrency=concurrency)
        return find({"s": put(n=0), "each": loop, **nodes}, "trigger -> s", "s -> each", *body_edges)

    assert count(a=put(n="{{ n + item }}")) == shared
    assert count("a -> b", a=put(x="{{ n }}"), b=put(n=1)) == shared
    assert count("c -true-> a", "a -> b", "c -false-> b", c=CHOICE, a=put(n=1), b=put(x="{{ n }}")) == shared
    assert count(a=put(n="{{ n + item }}"), concurrency=1) == []
    assert count("a -> b", a=put(n="{{ item }}"), b=put(x="{{ n }}")) == []
    assert count(a=put(x="{{ n }}")) == []


def test_collect_reads_a_variable_that_only_some_paths_of_the_body_set() -> None:
    def collect(*body_edges: str, declared: bool = True, reads: str = "{{ t }}", **nodes: Any) -> list[str]:
        loop = each([next(iter(nodes))], collect=reads)
        return find({"each": loop, **nodes}, "trigger -> each", *body_edges, variables={"t": 0} if declared else {})

    some = ("c -true-> a",)
    assert collect(*some, c=CHOICE, a=put(t=1)) == ["shared_variable /nodes/0/config/collect"]
    assert collect(*some, c=CHOICE, a=put(t=1), declared=False) == []  # reported as missing
    assert collect(*some, c=CHOICE, a=put(t=1), reads="{{ t? }}") == []
    assert collect(*some, "c -false-> b", c=CHOICE, a=put(t=1), b=put(t=2)) == []
    assert collect(a=put(t=1)) == []


REST: dict[str, dict[str, Any]] = {
    "delay": {"type": "delay", "delay_seconds": 1},
    "wait": {"type": "wait", "config": {"event": "go"}},
    "action": GET,
    "loop with an action": each(["get"]),
}


@pytest.mark.parametrize("rest", REST)
def test_a_cycle_with_a_rest_is_sound(rest: str) -> None:
    inner: Nodes = {"get": GET} if rest.startswith("loop") else {}
    nodes: Nodes = {"a": put(n=1), "r": REST[rest], "c": CHOICE, **inner}

    assert find(nodes, "trigger -> a", "a -> r", "r -> c", "c -true-> a") == []


def test_a_cycle_without_a_rest() -> None:
    local = {"type": "action", "action": "http.request", "config": GET["config"], "execution": "local"}

    assert find({"a": put(n=1), "c": CHOICE}, "trigger -> a", "a -> c", "c -true-> a") == ["busy_cycle /nodes/0"]
    assert find({"s": put(n=0), "a": local, "c": CHOICE}, "trigger -> s", "s -> a", "a -> c", "c -true-> a") == [
        "busy_cycle /nodes/1"
    ]
    inside = {"each": each(["a"]), "a": put(n=1), "c": CHOICE}
    assert find(inside, "trigger -> each", "a -> c", "c -true-> a") == ["busy_cycle /nodes/1"]
    assert find({"each": each(["a"]), "a": put(n=1)}, "trigger -> each", "a -> each") == []


def test_two_branches_that_set_one_variable() -> None:
    def race(join: Any) -> list[str]:
        fork = {"type": "parallel", "branches": [["a"], ["b"]], "config": {"join": join}}
        return find({"p": fork, "a": put(t=1), "b": put(t=2)}, "trigger -> p")

    assert race("all") == ["variable_conflict /nodes/0"]
    assert race("any") == race(1) == []
