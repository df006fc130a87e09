"""Compile the templates and conditions of a plan, once each, and parse rendered values.

Replay-sensitive: no clock, no randomness.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from orchestrator.errors import StepFailed
from orchestrator.jsontools.json_types import describe_value
from orchestrator.language import CompiledEntries, CompiledValue, Env, compile_value, render_parameters
from orchestrator.language.condition_reader import Condition, compile_condition
from orchestrator.language.env import Meter, Warnings
from orchestrator.language.values import read_date, read_number, require_shallow
from orchestrator.model.plan import MAX_DELAY_SECONDS

T = TypeVar("T")


class Compiled:
    """The compiled templates and conditions of a plan, by the identity of their source.

    All runs of a plan that a worker has may share them.
    """

    # By identity: lists and objects cannot be hashed.
    def __init__(self) -> None:
        self._sources: list[Any] = []
        """Kept alive: the identity of one that is gone could become that of another."""
        self._conditions: dict[int, Condition] = {}
        self._values: dict[int, CompiledValue] = {}
        self._entries: dict[int, CompiledEntries] = {}

    def condition(self, source: Any) -> Condition:
        """Return a condition, compiled."""
        return self._get(self._conditions, source, compile_condition)

    def render(self, source: Any, env: Env) -> Any:
        """Render a value that may hold templates."""
        if source is None or isinstance(source, int | float):
            return source
        return self._compile(source).render(env)

    def render_part(self, source: Any, env: Env) -> Any:
        """Render a value that may hold templates as a part of the value before it, within the same budget."""
        if source is None or isinstance(source, int | float):
            return source
        value = self._compile(source)
        env.spend(value.cost)
        return value.evaluate(env)

    def render_entries(self, source: Mapping[str, Any], env: Env) -> list[tuple[Any, Any]]:
        """Render the keys and values of an object, all from the same data."""
        return self._get(self._entries, source, CompiledEntries).render(env)

    def parameters(self, source: dict[str, Any], env: Env) -> tuple[Any, dict[str, list[Any]]]:
        """Render an action's parameters; parts that need secrets are rendered by the worker that has them."""
        template = self._compile(source)
        if not template.uses_secrets:
            return template.render(env), {}
        parameters, deferred = render_parameters(source, env)
        if template.builds:
            require_shallow(parameters, env.spend)
        return parameters, deferred

    def _compile(self, source: Any) -> CompiledValue:
        return self._get(self._values, source, compile_value)

    def _get(self, known: dict[int, T], source: Any, compile_source: Callable[[Any], T]) -> T:
        compiled = known.get(id(source))
        if compiled is None:
            compiled = known[id(source)] = compile_source(source)
            self._sources.append(source)
        return compiled


def parse_seconds(value: Any, what: str) -> float:
    """Parse a rendered number of seconds."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise StepFailed(f"{what} is not a number: {value[:60]!r}", recoverable=False) from None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and math.isnan(value)):
        raise StepFailed(f"{what} is not a number: it is {describe_kind(value)}", recoverable=False)
    if value > MAX_DELAY_SECONDS:
        raise StepFailed(f"{what} is longer than ten years: {describe_value(value)} s", recoverable=False)
    return float(max(value, 0))


def parse_time(value: Any) -> datetime:
    """Parse a rendered time; without a zone it is in UTC."""
    time = read_date(value)
    if time is None:
        raise StepFailed(f"delay_until is not an ISO 8601 time: it is {describe_kind(value)}", recoverable=False)
    return time


def parse_collection(value: Any) -> tuple[list[Any] | None, int]:
    """Parse a loop's rendered collection: `(list, its length)`, or `(None, n)` for a whole number."""
    if isinstance(value, list):
        return value, len(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"the collection is {describe_kind(value)}; expected a list or a whole number"
        raise StepFailed(f"{message}{COLLECTION_HINTS.get(type(value), '')}", recoverable=False)
    return None, value


def parse_max_failures(value: Any, count: int | None) -> int:
    """Parse a rendered `max_failures`: a number of iterations, or a percentage of all `count` of them."""
    text = str(value).strip() if isinstance(value, str) else ""
    number = read_number(text[:-1] if text.endswith("%") else value)
    if number is None or number < 0 or (not text.endswith("%") and number != int(number)):
        message = f"max_failures is {describe_kind(value)}; expected a whole number or a percentage such as 5%"
        raise StepFailed(message, recoverable=False)
    if not text.endswith("%"):
        return int(number)
    if count is None:
        message = f"max_failures is {text}, but a loop without a collection has no number of iterations"
        raise StepFailed(message, recoverable=False)
    return math.floor(count * number / 100)


def parse_join(value: Any, branches: int) -> int | None:
    """Parse a rendered `join`: how many branches must complete, `None` for all."""
    if value in ("all", "any"):
        return None if value == "all" else 1
    number = read_number(value)
    if number is None or number != int(number):
        message = f"join is {describe_kind(value)}; expected `all`, `any` or a whole number"
        raise StepFailed(message, recoverable=False)
    if not 1 <= number <= branches:
        raise StepFailed(f"join is {int(number)}, but the parallel has {branches} branches", recoverable=False)
    return int(number)


COLLECTION_HINTS: dict[type, str] = {
    dict: ": add `| values` to loop over the values of an object",
    type(None): ": add `| default([])` where it may be missing",
}


def describe_kind(value: Any) -> str:
    """Describe a value that has the wrong type."""
    return "missing" if value is None else describe_value(value)


def make_env(
    context: dict[str, Any], now: Callable[[], datetime], uuid: Callable[[], str], strict: bool, meter: Meter
) -> Env:
    """Return what templates and conditions over one flow's data see."""
    return Env(context=context, now=now, uuid=uuid, strict=strict, warnings=Warnings(), meter=meter)
