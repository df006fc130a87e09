"""The closures that conditions compile to; each records its comparisons. Replay-sensitive."""

from collections.abc import Callable
from typing import Any

from orchestrator.errors import ConditionError
from orchestrator.language import CompiledValue, Env, Template
from orchestrator.language.costs import OPERATOR_COSTS
from orchestrator.language.evidence import Comparison
from orchestrator.language.operators import Operator, compare, spend_on_pattern

Test = Callable[[Env, list[Comparison]], bool]


def refuse_to_decide(env: Env, seen: list[Comparison]) -> bool:
    """Raise ConditionError: the test of a condition that does not compile."""
    raise ConditionError("the condition is invalid")


def combine_all(tests: tuple[Test, ...]) -> Test:
    """Return a test that is true if all tests are; it stops at the first false one."""

    def test(env: Env, seen: list[Comparison]) -> bool:
        for one in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if not one(env, seen):
                return False
        return True

    return test


def combine_any(tests: tuple[Test, ...]) -> Test:
    """Return a test that is true if any test is; it stops at the first true one."""

    def test(env: Env, seen: list[Comparison]) -> bool:
        for one in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if one(env, seen):
                return True
        return False

    return test


def negate(inner: Test) -> Test:
    """Return a test that is true if the other is false."""
    return lambda env, seen: not inner(env, seen)


def check_truth(source: str, template: Template) -> Test:
    """Return a test that is true unless the expression is null, false, 0 or empty."""
    render, cost = template.render, template.cost

    def test(env: Env, seen: list[Comparison]) -> bool:
        env.spend(cost)
        value = render(env)
        result = bool(value)
        seen.append((source, "", None, value, result))
        return result

    return test


def check_presence(field: str, template: Template, operator: Operator) -> Test:
    """Return a test of whether a path exists."""
    find, call, name = template.find, operator.call, operator.name
    cost = template.cost + OPERATOR_COSTS[name]

    def test(env: Env, seen: list[Comparison]) -> bool:
        env.spend(cost)
        found = find(env)
        result = call(env, found, None)
        seen.append((field, name, None, found, result))
        return result

    return test


def compare_with_constant(field: str, template: Template, operator: Operator, value: Any) -> Test:
    """Return a comparison with a constant."""
    render, name, cost = template.render, operator.name, template.cost
    find = template.find if template.is_path else _return_null

    def test(env: Env, seen: list[Comparison]) -> bool:
        env.spend(cost)
        found = render(env)
        result = compare(operator, field, found, value, env)
        seen.append((field, name, value, find(env) if found is None else found, result))
        return result

    return test


def compare_with_template(field: str, template: Template, operator: Operator, value: CompiledValue) -> Test:
    """Return a comparison with a value that is rendered each time."""
    render, name, expected = template.render, operator.name, value.evaluate
    cost = template.cost + value.cost
    find = template.find if template.is_path else _return_null

    def test(env: Env, seen: list[Comparison]) -> bool:
        env.spend(cost)
        found = render(env)
        wanted = expected(env)
        spend_on_pattern(operator, wanted, env)
        result = compare(operator, field, found, wanted, env)
        seen.append((field, name, wanted, find(env) if found is None else found, result))
        return result

    return test


def _return_null(env: Env) -> None:
    return None
