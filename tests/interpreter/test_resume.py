"""A run whose state is written to JSON between two nodes and read back ends as if nothing had happened.

Continue-as-new relies on this: at every resumable boundary the state goes through JSON.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import EPOCH, simulate
from orchestrator.simulator.testing import simulate_interrupted
from tests.golden import Case, load_cases
from tests.graphs import Generated, draw_structured, draw_wild

QUICK = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def compare(definition: Mapping[str, Any], *, input: Any, actions: Any, workflows: Any = None, every: int) -> int:  # noqa: A002
    """Compare an interrupted run with an uninterrupted one; return the number of interruptions."""
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        return 0
    plain = simulate(verdict.plan, input=input, actions=actions)
    interrupted, count = simulate_interrupted(verdict.plan, input=input, actions=actions, every=every)

    assert drop_times(interrupted) == drop_times(plain)
    return count


TIMES = frozenset(("started_at", "completed_at", "duration_ms", "until", "timestamp", "customer_id"))
"""What may differ: concurrent iterations end before an interruption, so the run takes longer."""


def drop_times(run: Run) -> Any:
    """Remove the times from a document; steps by id, because concurrent ones may start in another order."""
    shown = strip(run.model_dump(mode="json"))
    return {**shown, "steps": {step["id"]: step for step in shown["steps"]}}


def strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in TIMES}
    return [strip(item) for item in value] if isinstance(value, list) else value


COSTLY = ("a value that takes too much work", "a value nested deeper")
"""Parts of the names of cases whose state takes seconds to write at every node."""


def load_plain_cases() -> list[Any]:
    cases = [case for case in load_cases() if not case.events and not case.resolutions and "refused" not in case.expect]
    return [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if any(name in case.name for name in COSTLY) else [])
        for case in cases
    ]


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("case", load_plain_cases())
def test_golden_cases_end_the_same(case: Case, every: int) -> None:
    if case.expect.get("status") != "waiting":
        compare(case.definition, input=case.input, actions=case.actions, workflows=case.workflows, every=every)


@pytest.mark.thorough
@QUICK
@given(draw_structured(crossing=2))
def test_random_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, input=None, actions=graph.mocks, every=1)


@pytest.mark.thorough
@QUICK
@given(draw_wild())
def test_wild_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, input=None, actions=graph.mocks, every=2)


def test_a_nested_loop_is_interrupted_at_every_node() -> None:
    inner = {"id": "inner", "type": "loop", "collection": 3, "item_variable": "j", "body": ["work"]}
    definition = {
        "name": "Nested",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "outer", "type": "loop", "collection": 3, "item_variable": "i", "body": ["inner"]},
            inner | {"config": {"collect": "{{ i }}{{ j }}"}},
            {"id": "work", "type": "set", "config": {"last": "{{ i }}-{{ j }}"}},
        ],
        "edges": [{"source": "trigger", "target": "outer"}],
    }

    interruptions = compare(definition, input=None, actions={}, every=1)

    assert interruptions >= 9


def test_virtual_time_continues_after_an_interruption() -> None:
    """The clock is the loop's: delays before and after an interruption take their whole time."""
    definition = {
        "name": "Delays",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "a", "type": "delay", "delay_seconds": 60},
            {"id": "b", "type": "delay", "delay_seconds": 60},
        ],
        "edges": [{"source": "trigger", "target": "a"}, {"source": "a", "target": "b"}],
    }
    run = simulate(definition)

    assert run.completed_at == EPOCH + timedelta(seconds=120)
    assert compare(definition, input=None, actions={}, every=1) == 1


def test_a_concurrent_loop_that_breaks_is_not_resumed() -> None:
    """The state does not say that the loop has ended early: a run that was resumed there ran all iterations."""
    body = {"break_when": {"field": "item", "operator": "equals", "value": 1}, "max_concurrency": 3}
    definition = {
        "name": "Break",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "each", "type": "loop", "collection": 10, "body": ["work"], "config": body},
            {"id": "work", "type": "set", "config": {"last": "{{ item }}"}},
        ],
        "edges": [{"source": "trigger", "target": "each"}],
    }
    run, interruptions = simulate_interrupted(check(definition).require(), every=1)

    assert interruptions > 0
    assert run.steps[0].output_data["count"] == 2, "a boundary before each launch: the third is not launched"
