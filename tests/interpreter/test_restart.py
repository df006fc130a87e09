"""Which runs can be run again from a node."""

import pytest

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.restart import Changes, EndedRun, Rerun, plan_rerun
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.run import RunInfo
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import EPOCH

DEFINITION = {
    "name": "Restart",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "each", "type": "loop", "collection": 1, "body": ["compensate"]},
        {"id": "compensate", "type": "action", "action": "work"},
    ],
    "edges": [{"source": "trigger", "target": "each"}],
}


def plan_rerun_after(step_id: str, *, undone: bool = False) -> Rerun:
    """Plan the rerun of a run whose loop has run the step."""
    plan, info = check(DEFINITION).require(), RunInfo(id="old")
    state = RunState.new(plan, info, run_input=None, trigger=None, now=EPOCH)
    state.log.append(Step("each", "each", "", "failed", EPOCH, 1, EPOCH))
    state.log.append(Step(step_id, "compensate", "each[0]", "completed", EPOCH, 2, EPOCH))
    state.undone = undone
    return plan_rerun(EndedRun(plan, info, state.to_json(), "each"), plan, Changes(), "new", EPOCH)


def test_a_node_named_compensate_does_not_prevent_a_rerun() -> None:
    """Its id in a loop or branch ends as that of a compensation does."""
    assert plan_rerun_after("each[0]/compensate").from_node == "each"


def test_a_run_that_was_undone_is_not_run_again() -> None:
    with pytest.raises(OperationRefused, match="undone by compensations"):
        plan_rerun_after("each[0]/compensate/compensate", undone=True)


def test_a_run_that_has_undone_a_scope_that_it_continued_without_is_run_again() -> None:
    assert plan_rerun_after("each[0]/compensate/compensate").from_node == "each"
