"""`simulate_interrupted`, on which the tests of resumable state rely."""

from itertools import pairwise

import pytest

from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check
from orchestrator.simulator.testing import simulate_interrupted
from orchestrator.timing.virtual_loop import Stuck


def make_plan(*nodes: dict[str, object]) -> Plan:
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    plan = check({"name": "Flow", "trigger": {"type": "manual"}, "nodes": list(nodes), "edges": edges}).plan
    assert plan is not None
    return plan


CHAIN = [{"id": key, "type": "set", "config": {"last": key}} for key in "abcd"]


@pytest.mark.parametrize(("every", "count"), [(1, 4), (2, 2), (9, 0)])
def test_a_run_is_interrupted_after_a_number_of_boundaries(every: int, count: int) -> None:
    # One boundary before each of five nodes; an interrupted one is passed first after the resume.
    # Every 1: at 2, 3, 4, 5. Every 2: at 3, 5.
    end = {"id": "end", "type": "end", "config": {"output": "{{ last }}"}}
    run, interruptions = simulate_interrupted(make_plan(*CHAIN, end), every=every)

    assert (run.status, run.output) == ("completed", "d")
    assert interruptions.count == count


def test_a_run_that_waits_for_an_event_is_stuck() -> None:
    with pytest.raises(Stuck):
        simulate_interrupted(make_plan({"id": "hear", "type": "wait", "config": {"event": "go"}}))
