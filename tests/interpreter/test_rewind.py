"""Which steps remain on the record after going back to a node."""

import asyncio
from typing import Any

import pytest

from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.state import RunState
from orchestrator.model.run import Run, RunInfo
from orchestrator.planner.planner import check
from orchestrator.simulator.effects import SimulatedEffects, Simulation
from orchestrator.simulator.simulate import EPOCH, simulate
from tests.golden import read_definition

FAILS_ONCE = [{"error": {"message": "down", "recoverable": False}}, {"output": {}}]


def run_nodes(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> Run:
    """Simulate a graph whose only action fails at its first call."""
    definition = {
        "name": "Rewind",
        "trigger": {"type": "manual"},
        "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
        "edges": [{"source": source, "target": target} for source, target in edges],
    }
    return simulate(definition, actions={"http.request": FAILS_ONCE})


def call(target: str) -> dict[str, Any]:
    """An action that goes back to a node when it fails."""
    config = {"url": "https://example.org"}
    return {"type": "action", "action": "http.request", "config": config, "on_error": {"retry_from": target, "max": 1}}


def test_a_loop_that_is_rewound_through_is_not_open_any_longer() -> None:
    run = run_nodes(
        {
            "a": {"type": "set", "config": {"x": 1}},
            "each": {"type": "loop", "collection": 2, "body": ["call"]},
            "call": call("a"),
            "hear": {"type": "wait", "config": {"event": "go"}},
        },
        [("trigger", "a"), ("a", "each"), ("each", "hear")],
    )

    assert (run.status, run.current_node_id) == ("waiting", "hear")
    assert [step.id for step in run.steps] == ["a#2", "each#2", "each#2[0]/call", "each#2[1]/call", "hear"]


def test_a_branch_that_goes_back_keeps_the_steps_of_its_siblings() -> None:
    run = run_nodes(
        {
            "fork": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": "inline"}},
            "a": {"type": "set", "config": {"x": 1}},
            "pause": {"type": "delay", "delay_seconds": 2},
            "call": call("a"),
            "b": {"type": "delay", "delay_seconds": 1},
        },
        [("trigger", "fork"), ("a", "pause"), ("pause", "call")],
    )

    assert run.status == "completed"
    assert {step.id for step in run.steps} == {"fork", "fork[0]/a#2", "fork[0]/pause#2", "fork[0]/call#2", "fork[1]/b"}
    assert (run.steps_completed, run.steps_total) == (5, 5)


@pytest.mark.parametrize("max_concurrency", [1, 3])
def test_iterations_that_have_ended_leave_no_count_of_how_often_they_went_back(max_concurrency: int) -> None:
    """A long loop carried one for each iteration over continue-as-new."""
    nodes = {
        "each": {
            "type": "loop",
            "collection": 3,
            "body": ["a", "call"],
            "config": {"max_concurrency": max_concurrency},
        },
        "a": {"type": "set", "config": {"x": 1}},
        "call": call("a"),
    }
    plan = check(read_definition({"nodes": nodes, "edges": ("trigger -> each", "a -> call")}, "each", "each")).require()
    info = RunInfo(id="simulated")
    failures = {f"each[{index}]/call": FAILS_ONCE[0] for index in range(3)}
    simulation = Simulation(EPOCH, {"http.request": FAILS_ONCE[1]}, [], results=failures)
    state = RunState.new(plan, info, run_input=None, trigger=None, now=EPOCH)
    asyncio.run(execute(plan, info, state, SimulatedEffects(simulation, plan, info, state)))

    assert (state.status, state.dropped) == ("completed", 3 * 2)
    assert state.rewinds == {}


def test_an_inherited_variable_is_not_an_output_after_going_back() -> None:
    """A variable that only an undone path has set counted as set, because the context still has the inherited one."""
    nodes = [
        {"id": "a", "type": "action", "action": "work"},
        {
            "id": "first",
            "type": "condition",
            "condition": {"field": "steps.a.output.n", "operator": "equals", "value": 1},
        },
        {"id": "put", "type": "set", "config": {"x": "changed"}},
        {"id": "c", **call("a")},
        {"id": "kept", "type": "set", "config": {"y": 2}},
    ]
    definition = {
        "name": "Rewind",
        "trigger": {"type": "manual"},
        "variables": {"x": "inherited"},
        "nodes": nodes,
        "edges": [
            {"source": "trigger", "target": "a"},
            {"source": "a", "target": "first"},
            {"source": "first", "target": "put", "condition": "true"},
            {"source": "first", "target": "kept", "condition": "false"},
            {"source": "put", "target": "c"},
        ],
    }
    run = simulate(
        definition, actions={"work": [{"output": {"n": 1}}, {"output": {"n": 2}}], "http.request": FAILS_ONCE}
    )

    assert (run.status, run.output) == ("completed", {"y": 2})
