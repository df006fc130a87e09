"""A run is rerun from any step: what was done stays done, and the rest is done as if nothing had failed."""

import gc
from typing import Any

import pytest

from orchestrator.errors import OperationRefused
from orchestrator.reruns.walk import Walk
from orchestrator.reruns.walk_effects import Stops
from tests.reruns.world import make_plan, make_world, rerun, run

WORK = {"type": "action", "action": "work", "config": {"n": "{{ item }}"}, "outputs": ["did"]}


def work(**config: Any) -> dict[str, Any]:
    return {"type": "action", "action": "work", "config": config, "outputs": ["did"]}


def loop(*body: str, **config: Any) -> dict[str, Any]:
    return {"type": "loop", "collection": 4, "body": list(body), "config": config}


STEPS = {"a": work(x=1), "b": work(y="{{ did.x }}"), "c": work(z="{{ did.y }}")}
SEQUENCE = make_plan(STEPS, "trigger -> a", "a -> b", "b -> c")


def test_a_failed_step_runs_again_and_those_before_it_stay_done() -> None:
    failed = run(SEQUENCE, make_world("b"))
    again = rerun(failed)

    assert (failed.state.status, again.state.status) == ("failed", "completed")
    assert again.world.called == ["b", "c"]
    assert again.reused == ["a"]
    assert again.variables == run(SEQUENCE).variables
    assert [step.id for step in again.steps] == ["a", "b", "c"]
    assert again.world.get_key("b") != failed.world.get_key("b")


def test_a_completed_run_is_rerun_from_a_step_and_again_from_one_that_was_reused() -> None:
    done = run(SEQUENCE)
    again = rerun(done, "b")

    assert again.world.called == ["b", "c"]
    assert again.variables == done.variables


EDGES = "trigger -> each", "a -> b", "each -> after"
BODY = {"each": loop("a", collect="{{ did.n }}"), "a": WORK, "b": WORK, "after": work(all="{{ steps.each.output }}")}
LOOP = make_plan(BODY, *EDGES)


def test_a_step_of_an_iteration_runs_again_and_those_before_it_stay_done() -> None:
    failed = run(LOOP, make_world("each[2]/b"))
    again = rerun(failed)

    assert again.world.called == ["each[2]/b", "each[3]/a", "each[3]/b", "after"]
    assert again.variables == run(LOOP).variables
    assert "each[1]/b" in again.reused


def test_a_path_names_the_iteration() -> None:
    done = run(LOOP)
    again = rerun(done, "b", "each[3]")

    assert again.world.called == ["each[3]/b", "after"]
    assert again.variables == done.variables
    assert rerun(done, None, "each[3]").world.called == ["each[3]/a", "each[3]/b", "after"]
    with pytest.raises(OperationRefused, match="ran in 4 iterations"):
        rerun(done, "b")
    with pytest.raises(OperationRefused, match=r"no iteration or branch 'each\[7\]'"):
        rerun(done, "b", "each[7]")


MAP = make_plan({**BODY, "each": loop("a", collect="{{ did.n }}", max_concurrency=3)}, *EDGES)


def test_other_items_of_a_map_stay_done() -> None:
    done = run(MAP)
    again = rerun(done, "b", "each[1]")

    assert again.world.called == ["each[1]/b", "after"]
    assert again.variables == done.variables


def test_items_that_were_under_way_when_another_one_failed_go_on_where_they_were() -> None:
    world = make_world("each[1]/b")
    world.seconds = lambda step_id: {"each[0]/b": 50.0, "each[1]/b": 10.0}.get(step_id, 1.0)
    failed = run(MAP, world)
    again = rerun(failed)

    assert "each[0]/a" in failed.world.called
    assert "each[2]/b" in again.reused
    assert sorted(again.world.called) == ["after", "each[0]/b", "each[1]/b", "each[3]/b"] or sorted(
        again.world.called
    ) == ["after", "each[0]/b", "each[1]/b"]
    assert again.variables == run(MAP).variables
    assert again.world.get_key("each[0]/b") == failed.world.get_key("each[0]/b"), "its outcome was not known"
    assert again.world.get_key("each[1]/b") != failed.world.get_key("each[1]/b")


@pytest.mark.parametrize("concurrency", [1, 3])
def test_only_the_failed_items_of_a_loop_run_again(concurrency: int) -> None:
    config = {"collect": "{{ did.n }}", "on_item_error": "continue", "max_concurrency": concurrency}
    plan = make_plan({**BODY, "each": loop("a", **config)}, *EDGES)
    failed = run(plan, make_world("each[1]/b", "each[2]/a"))
    again = rerun(failed, failed_items=True)

    assert failed.state.status == "completed"
    assert sorted(again.world.called) == ["after", "each[1]/b", "each[2]/a", "each[2]/b"]
    assert again.variables["did"] == run(plan).variables["did"]
    assert again.state.data.context["steps"]["each"]["output"] == {
        "count": 4, "succeeded": 4, "failed": 0, "errors": [], "items": [0, 1, 2, 3]
    }  # fmt: skip
    with pytest.raises(OperationRefused, match="no loop of this run"):
        rerun(again, failed_items=True)


def test_only_the_failed_batches_of_a_loop_run_again() -> None:
    config = {"collect": "{{ item | sum }}", "on_item_error": "continue", "batch_size": 2}
    plan = make_plan({**BODY, "each": loop("a", **config)}, *EDGES)
    again = rerun(run(plan, make_world("each[0]/b")), failed_items=True)

    assert again.world.called == ["each[0]/b", "after"]
    assert again.state.data.context["steps"]["each"]["output"]["items"] == [1, 5]


def test_items_behind_more_failed_ones_than_run_at_a_time_stay_done() -> None:
    config = {"on_item_error": "continue", "max_concurrency": 2}
    plan = make_plan({**BODY, "each": loop("a", **config)}, *EDGES)
    failed = run(plan, make_world("each[0]/b", "each[1]/b"))
    again = rerun(failed, failed_items=True)

    assert sorted(again.world.called) == ["after", "each[0]/b", "each[1]/b"]
    assert "each[3]/b" in again.reused


def branches(mode: str, **config: Any) -> Any:
    nodes = {
        "p": {"type": "parallel", "branches": [["a"], ["c"]], "config": {"mode": mode, **config}},
        "a": work(n=1), "b": work(n="{{ did.n }}"), "c": work(n=3), "d": work(n=4), "after": work(n=5),
    }  # fmt: skip
    return make_plan(nodes, "trigger -> p", "a -> b", "c -> d", "p -> after")


@pytest.mark.parametrize("mode", ["inline", "child"])
def test_a_step_of_a_branch_runs_again_and_other_branches_stay_done(mode: str) -> None:
    done = run(branches(mode))
    again = rerun(done, "b", "p[0]")

    assert again.world.called == ["p[0]/b", "after"]
    assert again.variables == done.variables


@pytest.mark.parametrize("mode", ["inline", "child"])
def test_a_branch_that_failed_goes_on_where_it_failed(mode: str) -> None:
    world = make_world("p[1]/d")
    world.seconds = lambda step_id: {"p[0]/b": 50.0}.get(step_id, 1.0)
    failed = run(branches(mode), world)
    again = rerun(failed)

    assert failed.state.status == "failed"
    assert sorted(again.world.called) == ["after", "p[0]/b", "p[1]/d"]
    assert again.world.get_key("p[0]/b") == failed.world.get_key("p[0]/b")
    assert again.variables == run(branches(mode)).variables


BOOK = {**work(n="{{ item }}"), "compensate": {"action": "undo", "config": {}}}


def test_what_was_compensated_counts_as_not_done() -> None:
    plan = make_plan({"a": work(x=1), "book": BOOK, "b": work(y=1)}, "trigger -> a", "a -> book", "book -> b")
    failed = run(plan, make_world("b"))
    planned = failed.plan_rerun("b")
    again = rerun(failed)

    assert "book/compensate" in failed.world.called
    assert planned.undone == {"book"}
    assert planned.begins_at == ["book"]
    assert again.world.called == ["book", "b"]
    assert again.reused == ["a"]


def test_an_item_that_failed_and_was_undone_begins_where_it_was_undone() -> None:
    config = {"on_item_error": "continue", "max_concurrency": 2}
    nodes = {"each": loop("a", **config), "a": WORK, "book": BOOK, "b": WORK}
    plan = make_plan(nodes, "trigger -> each", "a -> book", "book -> b")
    failed = run(plan, make_world("each[2]/b"))

    again = rerun(failed, failed_items=True)

    assert sorted(again.world.called) == ["each[2]/b", "each[2]/book"]


WAITING = make_plan(
    {"a": work(x=1), "w": {"type": "wait", "config": {"event": "go"}}, "b": work(y="{{ steps.w.output.payload }}")},
    "trigger -> a", "a -> w", "w -> b",
)  # fmt: skip


def test_events_that_had_arrived_are_carried_over() -> None:
    failed = run(WAITING, make_world("a"), events=[{"at": 0, "name": "go", "payload": 7}])
    again = rerun(failed)

    assert again.state.status == "completed"
    assert again.variables["did"] == {"y": 7}
    assert rerun(run(WAITING, make_world("b"), events=[{"at": 0, "name": "go", "payload": 7}])).world.called == ["b"]


def test_a_delay_goes_on_with_what_was_left_of_it() -> None:
    nodes = {"a": work(x=1), "d": {"type": "delay", "delay_seconds": 100}, "b": work(y=1)}
    plan = make_plan(nodes, "trigger -> a", "a -> d", "d -> b")
    world = make_world(cancel_at=70)
    world.seconds = lambda _: 10.0
    cancelled = run(plan, world)
    again_world = make_world(again=True)
    again_world.seconds = lambda _: 0.0
    planned = cancelled.plan_rerun()
    again = run(plan, again_world, rerun=planned)

    assert cancelled.state.status == "cancelled"
    assert planned.begins_at == ["d"]
    assert again.world.called == ["b"]
    assert (again.state.completed_at - again_world.start).total_seconds() == 40


def test_the_garbage_collector_ends_no_path_that_has_stopped() -> None:
    """A task that waits for ever is garbage once only its own future refers to it; its end would change the state."""
    failed = run(LOOP, make_world("each[2]/b"))
    walk = Walk(failed.records[""], Stops(frozenset({"each[2]/b"})), failed.records.get)
    walk.run()
    gc.collect()

    assert walk.root.state.data.context["item"] == 2
    walk.close()


def test_what_an_operator_had_done_to_the_run_stays_done() -> None:
    nodes = {
        "d": {"type": "delay", "delay_seconds": 1000}, "w": {"type": "wait", "config": {"event": "never"}},
        "s": work(x=1), "b": work(y="{{ v }} {{ steps.w.output.payload }} {{ steps.s.output.hand }}"),
    }  # fmt: skip
    plan = make_plan(nodes, "trigger -> d", "d -> w", "w -> s", "s -> b", variables={"v": 1})
    world = make_world("b")
    world.seconds = lambda _: 1.0
    world.repairs = [
        {"at": 10, "kind": "skip_wait", "step_id": "d"},
        {"at": 20, "kind": "set_variables", "variables": {"v": 5}},
        {"at": 25, "kind": "set_result", "node_id": "s", "result": {"hand": "made"}},
        {"at": 30, "kind": "set_result", "step_id": "w", "result": {"event": "never", "payload": "Ann"}},
    ]
    failed = run(plan, world)
    again = rerun(failed)

    assert failed.world.called == ["b"]
    assert again.world.called == ["b"]
    assert again.variables["did"] == {"y": "5 Ann made"}
    assert again.reused == ["d", "s", "w"]


def test_input_and_variables_are_replaced() -> None:
    nodes = {"a": work(x="{{ input.n }}"), "b": work(y="{{ input.n }} {{ v }}")}
    plan = make_plan(nodes, "trigger -> a", "a -> b", variables={"v": 1})
    failed = run(plan, make_world("b"), run_input={"n": 1})
    again = rerun(failed, run_input=({"n": 2},), variables={"v": 5})

    assert again.variables["did"] == {"y": "2 5"}
    assert again.world.called == ["b"]
    with pytest.raises(OperationRefused, match="reserved names"):
        failed.plan_rerun(variables={"steps": 1})
