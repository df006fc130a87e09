"""Parameters of actions are held to the limits of any rendered value."""

import math
from typing import Any

import pytest

from orchestrator.errors import EvaluationError, StepFailed
from orchestrator.expressions import default_env
from orchestrator.interpreter.compiled import Compiled, parse_seconds
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


@pytest.mark.parametrize("seconds", [1e12, "1e12", math.inf, "inf", 10**400], ids="{!s:.9}".format)
def test_rendered_seconds_beyond_ten_years_fail_the_step(seconds: Any) -> None:
    """No time that far from now can be computed: the workflow task failed for ever."""
    with pytest.raises(StepFailed, match="timeout_seconds is longer than ten years"):
        parse_seconds(seconds, "timeout_seconds")


@pytest.mark.parametrize("seconds", [math.nan, "nan", "soon", True, None])
def test_rendered_seconds_that_are_not_a_number_fail_the_step(seconds: Any) -> None:
    with pytest.raises(StepFailed, match="timeout_seconds is not a number"):
        parse_seconds(seconds, "timeout_seconds")


def test_what_is_compiled_of_one_source_is_never_used_for_another() -> None:
    """The identity of an object may become that of another one once it is freed."""
    compiled, env = Compiled(), default_env({})

    assert [compiled.render([f"{{{{ {n} }}}}"], env) for n in range(1_000)] == [[n] for n in range(1_000)]
    assert [compiled.render_entries({"n": n}, env) for n in range(1_000)] == [[("n", n)] for n in range(1_000)]
