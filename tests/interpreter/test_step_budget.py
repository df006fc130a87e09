"""`max_steps` counts the steps of all branches of a run together, wherever they run."""

from itertools import pairwise
from typing import Any

import pytest

from orchestrator.model.run import Run
from orchestrator.simulator.simulate import simulate


def chain(name: str, length: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Set nodes in sequence, `name1` to `name<length>`."""
    ids = [f"{name}{number}" for number in range(1, length + 1)]
    return {node_id: {"type": "set", "config": {name: 1}} for node_id in ids}, list(pairwise(ids))


def run_branches(max_steps: int, **config: Any) -> Run:
    """Simulate a parallel of two branches of four nodes: 1 + 2 x 4 = 9 steps."""
    a, a_edges = chain("a", 4)
    b, b_edges = chain("b", 4)
    fork = {"type": "parallel", "branches": [["a1"], ["b1"]], "config": config}
    return run_nodes({"fork": fork, **a, **b}, [("trigger", "fork"), *a_edges, *b_edges], max_steps)


def run_nodes(nodes: dict[str, Any], edges: list[tuple[str, str]], max_steps: int) -> Run:
    """Simulate a graph with a budget of steps."""
    return simulate(
        {
            "name": "Budget",
            "trigger": {"type": "manual"},
            "settings": {"max_steps": max_steps},
            "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
            "edges": [{"source": source, "target": target} for source, target in edges],
        }
    )


@pytest.mark.parametrize("mode", ["child", "inline"])
@pytest.mark.parametrize("max_steps", [1, 4, 6, 8])
def test_a_run_that_needs_more_steps_fails_and_names_the_limit(mode: str, max_steps: int) -> None:
    run = run_branches(max_steps, mode=mode)

    assert run.failure is not None
    assert run.failure["message"] == f"the run needs more than max_steps ({max_steps}) steps"
    assert run.failure["details"] == {"limit": "max_steps", "max_steps": max_steps}
    assert run.failure["node_id"] is None


@pytest.mark.parametrize("mode", ["child", "inline"])
def test_a_run_that_needs_exactly_so_many_steps_completes(mode: str) -> None:
    run = run_branches(9, mode=mode)

    assert (run.status, run.steps_total) == ("completed", 9)


def test_branches_whose_errors_are_ignored_do_not_exceed_the_budget() -> None:
    run = run_branches(4, on_branch_error="ignore")

    assert run.failure is not None
    assert run.failure["details"]["max_steps"] == 4


def test_a_branch_in_a_branch_names_the_number_of_the_definition() -> None:
    a, a_edges = chain("a", 4)
    outer = {"type": "parallel", "branches": [["inner"]]}
    inner = {"type": "parallel", "branches": [["a1"]]}

    run = run_nodes({"outer": outer, "inner": inner, **a}, [("trigger", "outer"), *a_edges], 5)

    assert run.failure is not None
    assert run.failure["message"] == "the run needs more than max_steps (5) steps"


def test_no_branch_takes_a_step_when_none_is_left() -> None:
    run = run_branches(1)

    assert [step.id for step in run.steps] == ["fork"]
