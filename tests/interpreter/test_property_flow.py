"""Random graphs: the engine on the simulator does what the reference does, and every run ends."""

import pytest
from hypothesis import given, settings

from orchestrator.errors import DefinitionInvalid
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from orchestrator.planner.planner import plan
from orchestrator.simulator.simulate import simulate
from tests.golden import group_by_scope
from tests.graphs import MAX_STEPS, Generated, draw_structured, draw_wild
from tests.reference_interpreter import Outcome, run_reference
from tests.scale import scale

QUICK = settings(max_examples=120)
LONG = settings(max_examples=scale(400))


def simulate_or_none(graph: Generated) -> Run | None:
    """Run on the simulator; `None` when the planner refuses the definition."""
    try:
        return simulate(graph.definition, actions=graph.mocks)
    except DefinitionInvalid:
        return None


def collect_statuses(graph: Generated, steps: list[tuple[str, str]]) -> dict[str, str]:
    """Statuses by step id; what an `end` with outcome failed shows is not said in the contract."""
    ends = {node["id"] for node in graph.definition["nodes"] if node["type"] == "end"}
    return {step_id: status for step_id, status in steps if step_id.rpartition("/")[2].partition("#")[0] not in ends}


def compare(graph: Generated, run: Run, expected: Outcome) -> None:
    """Compare a run with the reference's."""
    assert run.status == expected.status
    if expected.limit_reached:
        compare_limited(graph, run, expected)
        return
    assert group_steps(run) == group_by_scope([step_id for step_id, _ in expected.steps])
    steps = [(step.id, str(step.status)) for step in run.steps]
    assert collect_statuses(graph, steps) == collect_statuses(graph, expected.steps)
    assert run.context == expected.variables
    if run.status == "completed":
        assert run.output == expected.output


def compare_limited(graph: Generated, run: Run, expected: Outcome) -> None:
    """Compare a run that needs too many steps with the reference's; the contract does not say which branch is cut."""
    assert run.failure is not None
    assert run.failure["details"] == {"limit": "max_steps", "max_steps": MAX_STEPS}
    assert run.steps_total >= MAX_STEPS
    if not has_concurrency(graph):
        assert group_steps(run) == group_by_scope([step_id for step_id, _ in expected.steps])
        assert run.context == expected.variables


def group_steps(run: Run) -> dict[str, list[str]]:
    """Step ids by scope, in the order of starts."""
    return group_by_scope([step.id for step in run.steps])


def has_concurrency(graph: Generated) -> bool:
    """Whether anything in a graph runs beside something else."""
    return any(
        node["type"] == "parallel" or node.get("config", {}).get("max_concurrency", 1) > 1
        for node in graph.definition["nodes"]
    )


def check_graph(graph: Generated) -> None:
    """Simulate a graph and compare the run with the reference."""
    run = simulate_or_none(graph)
    if run is not None:
        compare(graph, run, run_reference(graph.definition, graph.answers))


@pytest.mark.thorough
@QUICK
@given(draw_structured())
def test_well_formed_graphs_are_accepted_and_run_as_the_reference(graph: Generated) -> None:
    run = simulate_or_none(graph)

    assert run is not None
    compare(graph, run, run_reference(graph.definition, graph.answers))


@pytest.mark.thorough
@QUICK
@given(draw_structured(crossing=3))
def test_graphs_with_crossing_edges_run_as_the_reference(graph: Generated) -> None:
    check_graph(graph)


@pytest.mark.thorough
@QUICK
@given(draw_wild())
def test_wild_graphs_are_refused_or_run_as_the_reference(graph: Generated) -> None:
    check_graph(graph)


@pytest.mark.thorough
@QUICK
@given(draw_wild())
def test_the_planner_always_answers(graph: Generated) -> None:
    verdict = plan(graph.definition)

    if not isinstance(verdict, Plan):
        assert any(problem.severity == "error" for problem in verdict)


@pytest.mark.slow
@pytest.mark.long
@LONG
@given(draw_structured(crossing=4) | draw_wild())
def test_many_graphs_run_as_the_reference(graph: Generated) -> None:
    check_graph(graph)
