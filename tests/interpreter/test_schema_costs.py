"""Checks against JSON Schemas count for the yields of a flow: otherwise a workflow task may do thousands of them."""

from typing import Any

import pytest

from orchestrator.language.costs import NODE, SCHEMA_STEP
from orchestrator.simulator.effects import SimulatedEffects
from orchestrator.simulator.simulate import simulate

WORDS = {"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}
VALUE = {"words": ["word"] * 1_000}


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the costs that flows report at their boundaries."""
    reported: list[int] = []

    def boundary_due(effects: SimulatedEffects, cost: int) -> bool:
        reported.append(cost)
        return False

    monkeypatch.setattr(SimulatedEffects, "boundary_due", boundary_due)
    return reported


def define(*nodes: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {
        "id": nodes[0]["type"],
        "name": "checks",
        "trigger": {"type": "manual"},
        "settings": settings,
        "nodes": list(nodes),
        "edges": [{"source": "trigger", "target": nodes[0]["id"]}],
    }


@pytest.mark.thorough
def test_queued_events_that_are_refused_pass_a_boundary_each(costs: list[int]) -> None:
    schema = {**WORDS, "required": ["answer"]}
    wait = {"id": "ask", "type": "wait", "config": {"event": "answer", "schema": schema}}
    events = [{"at": 0, "name": "answer", "payload": VALUE}] * 100
    run = simulate(define(wait), events=[*events, {"at": 0, "name": "answer", "payload": {"answer": 1}}])

    assert run.status == "completed"
    assert [cost > SCHEMA_STEP * 1_000 for cost in costs[1:]] == [True] * 100
    assert len(run.steps[0].warnings) == 21
    assert run.steps[0].warnings[-1] == "more events were refused"


def test_inputs_of_called_workflows_are_counted(costs: list[int]) -> None:
    callee = define({"id": "s", "type": "set", "config": {"x": 1}}, input_schema=WORDS) | {"id": "callee"}
    calls = {"id": "call", "type": "workflow", "config": {"workflow_id": "callee", "input": VALUE}}
    each = {"id": "each", "type": "loop", "collection": 10, "body": ["call"], "config": {"max_concurrency": 5}}
    run = simulate(define(each, calls), workflows={"callee": callee})

    assert run.status == "completed"
    assert sum(costs) > SCHEMA_STEP * 1_000 * 9 + NODE
