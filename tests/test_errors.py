"""Errors come out of the processes that check definitions as they went in."""

import pickle

import pytest

from orchestrator.errors import (
    DefinitionInvalid,
    EvaluationError,
    OperationRefused,
    OrchestratorError,
    Problem,
    StepFailed,
)

ERRORS = (
    DefinitionInvalid([Problem("error", "no_nodes", "/nodes", "the workflow has no nodes", "add one")]),
    EvaluationError("no", source="{{ a }}", line=1, column=4, hint="b"),
    StepFailed("no", error_type="action_error", details={"status": 500}, recoverable=False, attempts=3, node_id="a"),
    OperationRefused("no", where="a", hint="b"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_survives_a_copy_into_another_process(error: OrchestratorError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
