"""Compile and compute the values, conditions and times that nodes hold, once for each plan.

Replay-sensitive: no clock, no randomness.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.jsontools.json_types import describe_value
from orchestrator.language import Env, compile_value, render_parameters
from orchestrator.language.condition_reader import Condition, compile_condition
from orchestrator.language.env import Warnings
from orchestrator.model.plan import MAX_DELAY_SECONDS


class Compiled:
    """What has been compiled for a plan; keyed by the identity of the value in it, which the plan keeps alive."""

    def __init__(self) -> None:
        self._conditions: dict[int, Condition] = {}
        self._values: dict[int, Any] = {}

    def condition(self, source: Any) -> Condition:
        """Compile a condition."""
        found = self._conditions.get(id(source))
        if found is None:
            found = self._conditions[id(source)] = compile_condition(source)
        return found

    def render(self, source: Any, env: Env) -> Any:
        """Compute a value that may hold templates."""
        if source is None or isinstance(source, int | float):
            return source
        found = self._values.get(id(source))
        if found is None:
            found = self._values[id(source)] = compile_value(source)
        return found.render(env)

    def parameters(self, source: dict[str, Any], env: Env) -> tuple[Any, dict[str, list[Any]]]:
        """Compute an action's parameters; what needs secrets is left to the action's side."""
        found = self._values.get(id(source))
        if found is None:
            found = self._values[id(source)] = compile_value(source)
        return render_parameters(source, env) if found.uses_secrets else (found.render(env), {})


def parse_seconds(value: Any, what: str) -> float:
    """Read a number of seconds that a template gave."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise StepFailed(f"{what} is not a number: {value[:60]!r}", recoverable=False) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StepFailed(f"{what} is not a number: {value!r:.60}", recoverable=False)
    if value > MAX_DELAY_SECONDS:
        raise StepFailed(f"{what} is longer than ten years: {value:g} s", recoverable=False)
    return max(float(value), 0.0)


def parse_time(value: Any) -> datetime:
    """Read a time that a template gave; no zone means UTC."""
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise StepFailed(f"delay_until is not an ISO 8601 time: {value!r:.60}", recoverable=False) from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def parse_collection(value: Any) -> tuple[list[Any] | None, int]:
    """Read a loop's collection: `(list, its length)`, or `(None, n)` for a whole number."""
    if isinstance(value, list):
        return value, len(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        kind = "missing" if value is None else describe_value(value)
        raise StepFailed(f"the collection must be a list or a whole number, it is {kind}", recoverable=False)
    return None, value


def make_env(context: dict[str, Any], now: Callable[[], datetime], uuid: Callable[[], str], strict: bool) -> Env:
    """Make what evaluations over one flow's data see."""
    return Env(context=context, now=now, uuid=uuid, strict=strict, warnings=Warnings())
