"""Random graphs: a run that is rerun ends as one that never failed, and nothing that is done is called again."""

from zlib import crc32

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestrator.errors import OperationRefused
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check
from orchestrator.reruns.records import is_compensation
from tests.graphs import VARIABLES, Generated, draw_structured
from tests.reruns.world import Ended, World, make_world, run

QUICK = settings(max_examples=60)
LONG = settings(max_examples=300, phases=(Phase.explicit, Phase.generate))


def make_random_world(*down: str, again: bool = False) -> World:
    """Return a world whose answers depend on nothing but the step."""
    world = make_world(*down, again=again)
    world.answer = lambda step_id: {name: bool(crc32(f"{step_id} {name}".encode()) & 1) for name in VARIABLES}
    return world


def make_random_plan(graph: Generated) -> Plan | None:
    """Return the plan; `None` where the planner refuses the definition."""
    return check(graph.definition).plan


def assert_same_end(again: Ended, expected: Ended) -> None:
    """Compare a rerun with a run that never failed."""
    assert again.state.status == expected.state.status
    assert again.variables == expected.variables
    assert again.state.output == expected.state.output
    ids = {step.id for step in again.steps if not is_compensation(step.id, step.node_id)}
    done = {path for path in again.done_branches if path}
    wanted = {step.id for step in expected.steps if not is_compensation(step.id, step.node_id)}
    assert ids == {step_id for step_id in wanted if not any(step_id.startswith(f"{path}/") for path in done)}


def assert_nothing_done_twice(again: Ended) -> None:
    assert not set(again.reused) & set(again.world.called)


def check_failed_run(plan: Plan, pick: int) -> bool:
    """Let a step fail that else does not, and rerun the run; return whether that made it fail."""
    expected = run(plan, make_random_world())
    called = [each for each in expected.world.called if not each.endswith("/compensate")]
    if expected.state.status != "completed" or not called:
        return False
    failing = called[pick % len(called)]
    failed = run(plan, make_random_world(failing))
    if failed.state.status != "failed":
        return False
    planned = failed.plan_rerun()
    if failing not in planned.begins_at and not planned.undone:
        return False  # its failure was handled, and the run failed elsewhere
    again = run(plan, make_random_world(again=True), rerun=planned)

    assert_same_end(again, expected)
    assert_nothing_done_twice(again)
    if not planned.undone:
        succeeded = set(failed.world.called) - {failing} - planned.unknown
        assert not succeeded & set(again.world.called)
    return True


def check_completed_run(plan: Plan, pick: int) -> bool:
    """Rerun a run from any of its steps; return whether that can be done."""
    expected = run(plan, make_random_world())
    steps = [step for step in expected.steps if "#" not in step.id and not is_compensation(step.id, step.node_id)]
    if not steps:
        return False
    chosen = steps[pick % len(steps)]
    try:
        planned = expected.plan_rerun(chosen.node_id, chosen.path or None)
    except OperationRefused:
        return False
    again = run(plan, make_random_world(again=True), rerun=planned)

    if expected.state.status == "completed":
        assert chosen.id in planned.begins_at
        assert_same_end(again, expected)
    assert_nothing_done_twice(again)
    return True


@QUICK
@given(draw_structured(rich=True), st.integers(0, 1_000))
def test_a_failed_run_is_finished_by_its_rerun(graph: Generated, pick: int) -> None:
    plan = make_random_plan(graph)
    if plan is not None:
        check_failed_run(plan, pick)


@QUICK
@given(draw_structured(rich=True), st.integers(0, 1_000))
def test_a_completed_run_ends_the_same_from_any_of_its_steps(graph: Generated, pick: int) -> None:
    plan = make_random_plan(graph)
    if plan is not None:
        check_completed_run(plan, pick)


@pytest.mark.slow
@LONG
@given(draw_structured(crossing=3, rich=True), st.integers(0, 1_000))
def test_any_graph_is_rerun(graph: Generated, pick: int) -> None:
    plan = make_random_plan(graph)
    if plan is not None:
        check_failed_run(plan, pick)
        check_completed_run(plan, pick)
