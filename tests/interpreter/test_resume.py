"""A run whose state is written to JSON between two nodes and read back ends as if nothing had happened.

Continue-as-new relies on this: at every resumable boundary the state goes through JSON.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.simulator import testing
from orchestrator.simulator.simulate import EPOCH, simulate
from orchestrator.simulator.testing import Interruptions, simulate_interrupted
from tests.golden import Case, inline_branches, load_cases, read_definition
from tests.graphs import Generated, draw_structured, draw_wild

QUICK = settings(max_examples=25)


def compare(
    definition: Mapping[str, Any],
    *,
    input: Any = None,  # noqa: A002 - the name that `simulate` has
    actions: Any,
    workflows: Any = None,
    every: int,
    gap_seconds: float = 0.0,
    **outside: Any,
) -> Interruptions:
    """Compare an interrupted run with an uninterrupted one; return its interruptions."""
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        return Interruptions()
    plain = simulate(verdict.plan, input=input, actions=actions, **outside)
    interrupted, interruptions = simulate_interrupted(
        verdict.plan, input=input, actions=actions, every=every, gap_seconds=gap_seconds, **outside
    )

    assert drop_times(interrupted) == drop_times(plain)
    return interruptions


TIMES = frozenset(("at", "started_at", "completed_at", "duration_ms", "until", "timestamp", "customer_id", "attempts"))
"""What may differ: concurrent iterations end before an interruption, so the run takes longer."""


def drop_times(run: Run) -> Any:
    """Remove the times from a document; steps by id, because concurrent ones may start in another order."""
    shown = strip(run.model_dump(mode="json"))
    return {**shown, "steps": {step["id"]: step for step in shown["steps"]}}


def strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in TIMES}
    return [strip(item) for item in value] if isinstance(value, list) else value


COSTLY = ("a value that takes too much work", "a value nested deeper", "bulk_import")
"""Parts of the names of cases whose state takes seconds to write at every node."""


def list_cases() -> list[Any]:
    cases = [case for case in load_cases() if "refused" not in case.expect and case.expect.get("status") != "waiting"]
    cases += [inline for case in cases if (inline := inline_branches(case)) is not None]
    costly = [pytest.mark.slow, pytest.mark.long]
    return [
        pytest.param(case, id=case.name, marks=costly if any(name in case.name for name in COSTLY) else [])
        for case in cases
    ]


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("case", list_cases())
def test_golden_cases_end_the_same(case: Case, every: int) -> None:
    compare(
        case.definition,
        input=case.input,
        actions=case.actions,
        workflows=case.workflows,
        every=every,
        events=case.events,
        resolutions=case.resolutions,
        repairs=case.repairs,
    )


@pytest.mark.thorough
@QUICK
@given(draw_structured(crossing=2))
def test_random_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, actions=graph.mocks, every=1)


@pytest.mark.thorough
@QUICK
@given(draw_wild())
def test_wild_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, actions=graph.mocks, every=2)


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

    interruptions = compare(definition, actions={}, every=1)

    assert interruptions.count >= 9


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
    assert compare(definition, actions={}, every=1).count == 1


def test_a_concurrent_loop_that_breaks_stays_ended() -> None:
    """The state did not say that the loop has ended early: a run that was resumed there ran all iterations."""
    body = {"break_when": {"field": "item", "operator": "equals", "value": 1}, "max_concurrency": 3}
    definition = {
        "name": "Break",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "each", "type": "loop", "collection": [9, 5, 1, 3, 2], "body": ["work", "more"], "config": body},
            {"id": "work", "type": "set", "config": {"last": "{{ item }}"}},
            {"id": "more", "type": "delay", "delay_seconds": "{{ item }}"},
        ],
        "edges": [{"source": "trigger", "target": "each"}, {"source": "work", "target": "more"}],
    }

    interruptions = compare(definition, actions={}, every=1)

    assert interruptions.in_forks > 0


def test_an_event_of_the_moment_in_which_a_run_is_resumed_reaches_each_wait() -> None:
    """An iteration and a branch beside it excluded each other: one of them waited for ever."""
    nodes = {
        "each": {
            "type": "loop",
            "collection": 3,
            "body": ["ask", "fork", "nap", "last"],
            "config": {"max_concurrency": 3},
        },
        "ask": {"type": "wait", "when": {"field": "item", "operator": "equals", "value": 0}, "config": {"event": "go"}},
        "fork": {
            "type": "parallel",
            "when": {"field": "item", "operator": "equals", "value": 1},
            "branches": [["asked"]],
            "config": {"mode": "inline"},
        },
        "asked": {"type": "wait", "config": {"event": "go"}},
        "nap": {"type": "delay", "when": {"field": "item", "operator": "equals", "value": 2}, "delay_seconds": 10},
        "last": {"type": "set", "config": {"done": True}},
    }
    edges = ("trigger -> each", "ask -> fork", "fork -> nap", "nap -> last")
    definition = read_definition({"nodes": nodes, "edges": edges}, "waits", "waits")

    # The run is interrupted after 10 s, for 2 s.
    interruptions = compare(definition, actions={}, every=8, gap_seconds=2, events=[{"name": "go", "at": 11}])

    assert interruptions.in_forks > 0


def test_a_delay_that_is_over_when_a_run_is_resumed_ends_when_all_paths_have_taken_their_places() -> None:
    """It ended at once, and the join cancelled branches before they had begun again: their steps stayed open."""
    config = {"mode": "inline", "join": "any"}
    nodes = {
        "fork": {"type": "parallel", "branches": [["nap"], ["ask"], ["nod", "last"]], "config": config},
        "nap": {"type": "delay", "delay_seconds": 15},
        "ask": {"type": "wait", "config": {"event": "go"}},
        "nod": {"type": "delay", "delay_seconds": 10},
        "last": {"type": "wait", "config": {"event": "go"}},
        "after": {"type": "set", "config": {"done": True}},
    }
    edges = ("trigger -> fork", "nod -> last", "fork -> after")
    definition = read_definition({"nodes": nodes, "edges": edges}, "delays", "delays")
    plan = check(definition).require()
    run, interruptions = simulate_interrupted(plan, every=4, gap_seconds=20)
    statuses = {step.id: step.status for step in run.steps}

    assert interruptions.in_forks == 1
    assert statuses["fork[1]/ask"] == "cancelled"
    assert not run.waiting_for


@pytest.mark.parametrize("max_concurrency", [2, 4])
def test_only_the_last_iteration_that_has_ended_carries_its_step_results_along(
    max_concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that had ended while the first one was in progress did, and the loop shows only those of the last."""
    carried: list[list[Any]] = []

    class Recorded(RunState):
        @classmethod
        def from_json(cls, plan: Plan, fields: Mapping[str, Any]) -> RunState:
            carried.append(fields["frame"]["open"]["ended"])
            return RunState.from_json(plan, fields)

    monkeypatch.setattr(testing, "RunState", Recorded)
    config = {"max_concurrency": max_concurrency}
    nodes = {
        "each": {"type": "loop", "collection": [100, 10, 20, 30], "body": ["nap", "last"], "config": config},
        "nap": {"type": "delay", "delay_seconds": "{{ item }}"},
        "last": {"type": "set", "config": {"seen": "{{ item }}"}},
        "after": {"type": "set", "config": {"nap": "{{ steps.last.output.seen }}"}},
    }
    edges = ("trigger -> each", "nap -> last", "each -> after")
    definition = read_definition({"nodes": nodes, "edges": edges}, "each", "each")
    compare(definition, actions={}, every=8)

    assert [(index, bool(result[-1])) for index, result in carried[0]] == [(1, False), (2, False), (3, True)]
