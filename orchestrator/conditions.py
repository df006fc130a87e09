"""Evaluate conditions outside a run (SPEC §13), with a real clock."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from orchestrator.expressions import default_env
from orchestrator.language.condition_reader import Condition, compile_condition
from orchestrator.language.env import Warnings


def evaluate(
    condition: Any,
    context: Mapping[str, Any],
    *,
    now: Callable[[], datetime] | None = None,
    strict: bool = False,
    warnings: Warnings | None = None,
) -> bool:
    """Evaluate a condition with a context, by default with the real clock.

    Raises ConditionError if the condition is invalid, EvaluationError if a value cannot be evaluated.
    """
    compiled = condition if isinstance(condition, Condition) else compile_condition(condition)
    return compiled.evaluate(default_env(context, now=now, strict=strict, warnings=warnings))
