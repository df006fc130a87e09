"""The tests that conditions become, and what a step shows of what they saw. Replay-sensitive."""

import json
from collections.abc import Callable
from typing import Any

from orchestrator.errors import ConditionError
from orchestrator.language import MISSING, CompiledValue, Env, Template
from orchestrator.language.operators import Operator
from orchestrator.language.values import CannotTake, kind_of

Seen = tuple[str, str, Any, Any, bool]
"""One comparison as it was made: field, operator, value, what was there (or `MISSING`), result."""
Test = Callable[[Env, list[Seen]], bool]

MAX_EVIDENCE = 1_000
"""Bytes that a decision may take, as JSON."""
MAX_SHOWN_TEXT = 120
"""Characters shown of a text."""
MAX_SHOWN_ITEMS = 8
"""A longer list or object is shown as its length."""


def undecided(env: Env, seen: list[Seen]) -> bool:
    """Stand for a condition that has problems."""
    raise ConditionError("the condition has problems")


def all_of(tests: tuple[Test, ...]) -> Test:
    """Hold when every test does; the first that does not ends it."""

    def test(env: Env, seen: list[Seen]) -> bool:
        for one in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not one(env, seen):
                return False
        return True

    return test


def any_of(tests: tuple[Test, ...]) -> Test:
    """Hold when one test does; the first that does ends it."""

    def test(env: Env, seen: list[Seen]) -> bool:
        for one in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if one(env, seen):
                return True
        return False

    return test


def negated(inner: Test) -> Test:
    """Hold when the test does not."""
    return lambda env, seen: not inner(env, seen)


def truth(source: str, template: Template) -> Test:
    """Hold when an expression gives anything but null, false, 0 or something empty."""
    render = template.render

    def test(env: Env, seen: list[Seen]) -> bool:
        value = render(env)
        result = bool(value)
        seen.append((source, "", None, value, result))
        return result

    return test


def presence(field: str, template: Template, operator: Operator) -> Test:
    """Hold by whether there is something at the path."""
    find, call, name = template.find, operator.call, operator.name

    def test(env: Env, seen: list[Seen]) -> bool:
        found = find(env)
        result = call(found, None)
        seen.append((field, name, None, found, result))
        return result

    return test


def comparison(field: str, template: Template, operator: Operator, value: Any) -> Test:
    """Compare with a value that never changes."""
    render, call, name = template.render, operator.call, operator.name
    find = template.find if template.is_path else _null

    def test(env: Env, seen: list[Seen]) -> bool:
        found = render(env)
        try:
            result = call(found, value)
        except CannotTake as refusal:
            result = _declined(field, operator, found, value, refusal, env)
        seen.append((field, name, value, find(env) if found is None else found, result))
        return result

    return test


def templated(field: str, template: Template, operator: Operator, value: CompiledValue) -> Test:
    """Compare with a value that is computed each time."""
    render, call, name, expected = template.render, operator.call, operator.name, value.render
    find = template.find if template.is_path else _null

    def test(env: Env, seen: list[Seen]) -> bool:
        found = render(env)
        wanted = expected(env)
        try:
            result = call(found, wanted)
        except CannotTake as refusal:
            result = _declined(field, operator, found, wanted, refusal, env)
        seen.append((field, name, wanted, find(env) if found is None else found, result))
        return result

    return test


def _declined(field: str, operator: Operator, seen: Any, value: Any, refusal: CannotTake, env: Env) -> bool:
    kinds = f"`{field:.60}` is {kind_of(seen)}, the value is {kind_of(value)}"
    env.warnings.add(f"`{operator.name}` takes {refusal.reason}; {kinds}")
    return operator.negates is not None


def _null(env: Env) -> None:
    return None


def evidence(seen: list[Seen], port: str) -> dict[str, Any]:
    """Show a decision, at most 1 kB as JSON: the port, and what was compared.

    `{"port", "compared": [{"field", "operator", "value", "seen", "result"}]}`; an expression has neither
    operator nor value, and a path to nothing has `"missing": true`. What does not fit is left out from the
    front, because the last comparison decided, and counted in `omitted`.
    """
    shown: dict[str, Any] = {"port": _shortened(port), "compared": []}
    left = MAX_EVIDENCE - _size(shown) - len(', "omitted": 1000')
    for index in range(len(seen) - 1, -1, -1):
        entry = _entry(*seen[index])
        left -= _size(entry) + 2
        if left < 0:
            shown["omitted"] = index + 1
            break
        shown["compared"].insert(0, entry)
    return shown


def _entry(field: str, operator: str, value: Any, seen: Any, result: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"field": _shortened(field)}
    if operator:
        entry |= {"operator": operator, "value": _shortened(value)}
    entry["seen"] = None if seen is MISSING else _shortened(seen)
    if seen is MISSING:
        entry["missing"] = True
    entry["result"] = result
    return entry


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _shortened(value: Any) -> Any:
    """Keep scalars and small flat structures; say of what else there is how much."""
    if isinstance(value, list | tuple | dict):
        inner = value.values() if isinstance(value, dict) else value
        if len(value) <= MAX_SHOWN_ITEMS and not any(isinstance(item, list | tuple | dict) for item in inner):
            return (
                {_cut(key): _scalar(item) for key, item in value.items()}
                if isinstance(value, dict)
                else [_scalar(item) for item in value]
            )
        return f"{'object' if isinstance(value, dict) else 'list'} of {len(value)}"
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= 1024 else "a number of many digits"
    return _cut(value if isinstance(value, str) else type(value).__name__)


def _cut(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= MAX_SHOWN_TEXT else f"{shown[:MAX_SHOWN_TEXT]}…"
