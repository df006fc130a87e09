"""What the batches of a wide loop return has bounds, and what was done before is kept."""

import json
from typing import Any

import pytest

from orchestrator.model.plan import Plan
from orchestrator.model.run import MAX_PAYLOAD_BYTES, Run
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate
from tests.golden import limit_batches, read_definition

BIG = 300_000
FITTING = MAX_PAYLOAD_BYTES * 3 // 4 // BIG
"""Results of `BIG` characters for which there is space."""


def make_wide_plan(size: int, collect: str) -> Plan:
    config = {"max_concurrency": 5, "collect": collect}
    nodes = {
        "each": {"type": "loop", "collection": 12, "body": ["a"], "config": config},
        "a": "work",
        "late": {"type": "set", "config": {"done": "{{ steps.each.output.count }}"}},
    }
    raw = {"nodes": nodes, "edges": ["trigger -> each", "each -error-> late"]}
    return limit_batches(check(read_definition(raw, "wide", "wide")).require(), size)


def find_loop(run: Run) -> Any:
    return next(step for step in run.steps if step.id == "each")


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_results_without_space_fail_the_loop_by_the_first_one_and_keep_those_before(size: int) -> None:
    run = simulate(make_wide_plan(size, "{{ input.big }}"), input={"big": "x" * BIG})
    each = find_loop(run)

    assert (run.status, each.status) == ("completed", "failed")
    assert each.error["details"] == {"limit": "collect", "index": FITTING, "bytes": MAX_PAYLOAD_BYTES * 3 // 4}
    assert f"what `collect` returns for iteration {FITTING} does not fit" in each.error["message"]
    assert [len(item) for item in each.output_data["items"]] == [BIG] * FITTING
    assert (each.output_data["count"], run.context["done"]) == (FITTING, FITTING)


def test_results_that_fit_are_all_there() -> None:
    run = simulate(make_wide_plan(3, "{{ item }}{{ input.big }}"), input={"big": "x" * 1_000})

    assert run.status == "completed"
    assert [int(item[:-1_000]) for item in find_loop(run).output_data["items"]] == list(range(12))
    assert len(json.dumps(find_loop(run).output_data)) > 12_000


def test_a_wide_loop_that_has_used_up_max_steps_begins_no_further_batch() -> None:
    nodes = {"each": {"type": "loop", "collection": 40, "body": ["a"], "config": {"max_concurrency": 2}}, "a": "work"}
    raw = {"nodes": nodes, "edges": ["trigger -> each"], "settings": {"max_steps": 6}}
    run = simulate(limit_batches(check(read_definition(raw, "wide", "wide")).require(), 2))

    assert (run.status, run.error) == ("failed", "the run needs more than max_steps (6) steps")
    assert run.steps_total < 12


def test_all_iterations_at_a_time_run_where_few_batches_have_them() -> None:
    nodes = {
        "each": {"type": "loop", "collection": 20, "body": ["a"], "config": {"max_concurrency": 100}},
        "a": {"type": "delay", "delay_seconds": 60},
    }
    raw = {"nodes": nodes, "edges": ["trigger -> each"]}
    plan = limit_batches(check(read_definition(raw, "wide", "wide")).require(), 10)
    run = simulate(plan)

    assert run.status == "completed"
    assert run.duration_ms == 60_000
