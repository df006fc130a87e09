"""Every golden case on the simulator."""

import pytest

from orchestrator.errors import DefinitionInvalid
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate
from orchestrator.simulator.testing import simulate_interrupted
from tests.golden import Case, list_differences, load_cases, spread_loops

NEVER = 10**9
COSTLY = "a value that takes too much work"
"""A part of the names of cases that work up to a limit."""
SPREAD = [spread for case in load_cases() if (spread := spread_loops(case)) is not None]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.thorough] if COSTLY in case.name else [])
        for case in [*load_cases(), *SPREAD]
    ],
)
def test_the_simulator_runs_it_as_expected(case: Case) -> None:
    if "refused" in case.expect:
        with pytest.raises(DefinitionInvalid) as refusal:
            simulate(case.definition, input=case.input, actions=case.actions, workflows=case.workflows)
        codes = {problem.code for problem in refusal.value.problems if problem.severity == "error"}
        assert codes == set(case.expect["refused"])
        return

    if case.move is not None:
        assert list_differences(case, simulate_case(case).model_dump(mode="json"), virtual=True) == []
        return
    run = simulate(
        case.plan(),
        input=case.input,
        actions=case.actions,
        events=case.events,
        resolutions=case.resolutions,
        repairs=case.repairs,
    )

    assert list_differences(case, run.model_dump(mode="json"), virtual=True) == []


def simulate_case(case: Case) -> Run:
    """Run a case that moves to another version."""
    plan = check(case.definition, workflows=case.workflows).require()
    move = case.move or {}
    request = MigrationRequest(check(move["definition"], workflows=case.workflows).require(), move["map"])
    run, _ = simulate_interrupted(
        plan,
        input=case.input,
        actions=case.actions,
        events=case.events,
        resolutions=case.resolutions,
        repairs=case.repairs,
        every=NEVER,
        move=(float(move["at"]), request),
    )
    return run


def test_case_names_are_unique() -> None:
    names = [case.name for case in load_cases()]

    assert sorted(set(names)) == sorted(names)
