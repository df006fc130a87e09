"""A loop in batches is rerun as one in a single workflow: at any depth, and what was done stays done."""

from typing import Any

import pytest

from orchestrator.errors import OperationRefused
from orchestrator.model.plan import Plan
from tests.golden import limit_batches
from tests.reruns.world import make_plan, make_world, rerun, run


def work(**config: Any) -> dict[str, Any]:
    return {"type": "action", "action": "work", "config": config, "outputs": ["did"]}


def make_wide_plan(concurrency: int = 4, **config: Any) -> Plan:
    settings = {"max_concurrency": concurrency, "collect": "{{ did.n }}", **config}
    nodes = {
        "each": {"type": "loop", "collection": 7, "body": ["a"], "config": settings},
        "a": work(n="{{ item }}"), "b": work(n="{{ did.n }}"), "after": work(n=9),
    }  # fmt: skip
    return limit_batches(make_plan(nodes, "trigger -> each", "a -> b", "each -> after"), 2)


def test_other_items_stay_done() -> None:
    done = run(make_wide_plan())
    again = rerun(done, "b", "each[3]")

    assert sorted(done.records) == ["", "each[0..1]", "each[2..3]", "each[4..5]", "each[6..6]"]
    assert again.world.called == ["each[3]/b", "after"]
    assert again.variables == done.variables
    assert again.state.data.context["steps"]["each"]["output"]["items"] == list(range(7))
    assert again.done_branches == ["each[0..1]", "each[4..5]", "each[6..6]"]
    assert rerun(again, "b", "each[3]").world.called == ["each[3]/b", "after"]
    with pytest.raises(OperationRefused, match=r"no iteration or branch 'each\[8\]'"):
        rerun(done, "b", "each[8]")


@pytest.mark.parametrize("concurrency", [2, 4, 20])
def test_a_run_that_an_item_has_failed_goes_on_with_what_is_left(concurrency: int) -> None:
    plan = make_wide_plan(concurrency)
    world = make_world("each[3]/b")
    world.seconds = lambda step_id: 50.0 if step_id == "each[0]/b" else 1.0
    failed = run(plan, world)
    again = rerun(failed)

    called = {step_id for step_id in again.world.called if not step_id.startswith("each[0]")}
    left = {f"each[{index}]/{node}" for index in range(7) for node in "ab"} - {*failed.world.called} - {"each[0]/b"}
    assert failed.state.status == "failed"
    assert called == {"each[3]/b", "after", *left} | {step for step in called if step in failed.world.down}
    assert again.variables == run(plan).variables


@pytest.mark.parametrize("concurrency", [2, 4, 20])
def test_only_the_failed_items_run_again(concurrency: int) -> None:
    plan = make_wide_plan(concurrency, on_item_error="continue")
    failed = run(plan, make_world("each[1]/b", "each[2]/a", "each[6]/b"))
    again = rerun(failed, failed_items=True)

    assert failed.state.status == "completed"
    assert sorted(again.world.called) == ["after", "each[1]/b", "each[2]/a", "each[2]/b", "each[6]/b"]
    assert again.state.data.context["steps"]["each"]["output"] == {
        "count": 7, "succeeded": 7, "failed": 0, "errors": [], "items": list(range(7))
    }  # fmt: skip
    with pytest.raises(OperationRefused, match="no loop of this run"):
        rerun(again, failed_items=True)


def test_a_version_with_other_batches_cannot_go_on_in_the_middle_of_one() -> None:
    failed = run(make_wide_plan(), make_world("each[3]/b"))

    with pytest.raises(OperationRefused, match="another kind of node 'each'"):
        rerun(failed, plan=make_wide_plan(1))
