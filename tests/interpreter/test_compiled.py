"""Parameters of actions are held to the limits of any rendered value."""

from typing import Any

import pytest

from orchestrator.errors import EvaluationError
from orchestrator.expressions import default_env
from orchestrator.interpreter.compiled import Compiled
from orchestrator.jsontools.json_values import MAX_DEPTH


@pytest.mark.parametrize("extra", [{}, {"token": "{{ secrets.token }}"}], ids=["without a secret", "with a secret"])
def test_parameters_nested_too_deeply_are_an_error(extra: dict[str, str]) -> None:
    """Also beside a secret, where the parts are rendered one by one."""
    value: Any = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    source = {"value": ["{{ value }}"], **extra}

    with pytest.raises(EvaluationError, match="nested deeper than 200 levels"):
        Compiled().parameters(source, default_env({"value": value}))
