"""Random templates, conditions and data: each returns a value or one of our errors, and changes nothing."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.conditions import evaluate
from orchestrator.errors import ConditionError, ExpressionError
from orchestrator.expressions import default_env, render
from orchestrator.language import FUNCTIONS, PIPES, Env, render_parameters, reveal
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.condition_reader import build_evidence, compile_condition, find_problems
from orchestrator.language.env import Warnings
from orchestrator.language.operators import OPERATORS
from orchestrator.language.presets import PRESETS
from orchestrator.language.values import json_equal

pytestmark = pytest.mark.thorough

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
OURS = (ExpressionError, ConditionError)
quick = settings(max_examples=60)

PARTS = [
    *("{{", "}}", "{", "}", "(", ")", "[", "]", ".", ",", "|", "?", '"', "'", "\\", " ", "\n", "-", "0", "-1", "1e9"),
    *("a", "b", "item", "items", "secrets", "true", "null", "é", "²", "٣", "\ud800", "\x00", '"a"', "'b'", "9" * 30),
    *(f" {symbol} " for symbol in INFIX),
    *("not ", "-", "$", "&&", "??", "==", "a[b]", "a[item]?", "(a)", "a ? b : a", "items[a + 1]"),
    *FUNCTIONS,
    *PIPES,
    *(f"{{{{ a | {name} }}}}" for name in PIPES),
    *(function.example for function in FUNCTIONS.values()),
    *(pipe.example for pipe in PIPES.values()),
]
texts = st.text(max_size=12) | st.binary(max_size=24).map(lambda data: data.decode("utf-8", "surrogateescape"))
sources = st.lists(st.sampled_from(PARTS) | texts, max_size=12).map("".join)
wrapped = sources.map(lambda source: f"{{{{ {source} }}}}")
templates = sources | wrapped
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**4000)
    | st.floats()
    | texts
    | st.sampled_from(["2026-05-01", "2026-05-01T10:00:00+02:00", "0001-01-01T00:00:00+14:00", "12", "1e400", "(a"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab") | texts, inner, max_size=4),
)
contexts = st.fixed_dictionaries({}, optional=dict.fromkeys(("a", "b", "items", "input", "totals", "secrets"), values))
names = st.sampled_from([*OPERATORS, *PRESETS, "and", "or", "not", "simple", "preset", "expression"])
conditions = st.recursive(
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["a", "a.b", "items[0]", "b?"]) | templates,
            "operator": st.sampled_from([*OPERATORS]),
        },
        optional={"value": values | templates, "type": st.just("simple") | values},
    )
    | st.builds(lambda name: {"preset": name}, names)
    | st.builds(lambda text: {"expression": text}, templates)
    | values,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["and", "or", "not"]) | names},
        optional={"conditions": st.lists(inner, max_size=3) | inner, "condition": inner, "value": values},
    ),
    max_leaves=6,
)


def environment(context: dict[str, Any], strict: bool = False) -> Env:
    return Env(context, lambda: NOW, lambda: "id", strict)


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result of a call, or our error that it raises; any other error fails the test."""
    try:
        return call()
    except OURS as error:
        return (type(error).__name__, str(error))


def failure(call: Callable[[], Any]) -> Exception | None:
    """Return our error that a call raises, if any."""
    try:
        call()
    except OURS as error:
        return error
    return None


@quick
@given(templates | st.dictionaries(templates, templates, max_size=3), contexts, st.booleans())
def test_a_template_returns_the_same_value_or_error_each_time(
    template: Any, context: dict[str, Any], strict: bool
) -> None:
    before = copy.deepcopy(context)

    def render_once() -> Any:
        return outcome(lambda: render(template, context, now=lambda: NOW, uuid=lambda: "id", strict=strict))

    assert repr(render_once()) == repr(render_once())
    assert repr(context) == repr(before)


@quick
@given(templates, contexts)
def test_the_position_of_an_error_is_inside_the_template(template: str, context: dict[str, Any]) -> None:
    error = failure(lambda: render(template, context))
    if isinstance(error, ExpressionError):
        lines = (error.source or template).split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1


@quick
@given(
    st.dictionaries(st.text(max_size=4), templates, max_size=3), contexts, st.dictionaries(texts, values, max_size=2)
)
def test_secrets_are_revealed_or_an_error(
    value: dict[str, Any], context: dict[str, Any], secrets: dict[str, Any]
) -> None:
    def round_trip() -> Any:
        parameters, deferred = render_parameters(value, environment(context))
        return reveal(parameters, json.loads(json.dumps(deferred)), default_env({"secrets": secrets}, strict=True))

    outcome(round_trip)


@quick
@given(conditions, contexts, st.booleans())
def test_a_condition_returns_a_result_or_a_known_error(condition: Any, context: dict[str, Any], strict: bool) -> None:
    before = copy.deepcopy((condition, context))
    found = find_problems(condition, "/at")
    result = outcome(lambda: evaluate(condition, context, now=lambda: NOW, strict=strict, warnings=Warnings()))

    assert all(problem.path.startswith("/at") and problem.message for problem in found)
    refused = any(problem.severity == "error" for problem in found)
    assert isinstance(result, bool) or result[0] in ("ConditionError", "EvaluationError")
    assert not refused or result[0] == "ConditionError"
    assert repr((condition, context)) == repr(before)


@quick
@given(conditions, contexts)
def test_the_evidence_of_a_decision_is_always_small(condition: Any, context: dict[str, Any]) -> None:
    def decide() -> Any:
        return compile_condition(condition).decide(environment(context))

    made = outcome(decide)
    if isinstance(made[0], bool):
        assert len(json.dumps(build_evidence(made[1], "true"))) <= 1000


@quick
@given(st.sampled_from(sorted(OPERATORS)), values, values)
def test_every_operator_handles_every_pair_of_values(operator: str, seen: Any, value: Any) -> None:
    context = {"seen": seen, "wanted": value}
    condition = {"field": "seen", "operator": operator, "value": "{{ wanted }}"}
    opposite = next((name for name, other in OPERATORS.items() if other.negates == operator), None)
    result = outcome(lambda: evaluate(condition, context))

    assert isinstance(result, bool) or result[0] == "ConditionError"
    if opposite is not None:
        assert evaluate({**condition, "operator": opposite}, context) is not result


@quick
@given(values, values)
def test_equality_is_reflexive_and_symmetric(left: Any, right: Any) -> None:
    spend = Env({}, lambda: NOW, str).spend

    assert json_equal(left, left, spend) is (repr(left) == repr(left) and "nan" not in repr(left))
    assert json_equal(left, right, spend) is json_equal(right, left, spend)


@quick
@given(st.sampled_from(sorted(PIPES)), values, st.lists(values, max_size=2))
def test_every_pipe_handles_every_value_and_any_arguments(name: str, value: Any, arguments: list[Any]) -> None:
    written = ", ".join(f"x[{index}]" for index in range(len(arguments)))
    template = f"{{{{ v | {name}({written}) }}}}"

    outcome(lambda: render(template, {"v": value, "x": arguments}, now=lambda: NOW))


@quick
@given(
    st.sampled_from(["", "a", "a.0", ".", "²"]),
    st.sampled_from(sorted(OPERATORS)),
    st.lists(values, max_size=4) | values,
    values,
)
def test_a_filter_handles_every_list_and_every_value(path: str, operator: str, items: Any, value: Any) -> None:
    argument = "" if OPERATORS[operator].takes == "none" else ", x"
    template = f'{{{{ v | filter("{path}", "{operator}"{argument}) }}}}'
    result = outcome(lambda: render(template, {"v": items, "x": value}, now=lambda: NOW))

    if isinstance(items, list) and isinstance(result, list):
        assert all(any(item is kept for item in items) for kept in result)


operands = st.sampled_from(
    ["a", "b", "1", "-2.5", '"x"', "null", "true", "[1]", "a[b]", "(a)", "items[0]", "a | count"]
)


@quick
@given(st.lists(st.tuples(st.sampled_from(sorted(INFIX)), operands), min_size=1, max_size=6), operands, contexts)
def test_every_operator_handles_every_pair_of_operands(
    rest: list[tuple[str, str]], first: str, context: dict[str, Any]
) -> None:
    expression = " ".join([first, *(f"{symbol} {operand}" for symbol, operand in rest)])

    outcome(lambda: render(f"{{{{ {expression} }}}}", context, now=lambda: NOW))


@quick
@given(st.sampled_from(sorted(INFIX)), values, values)
def test_an_operator_returns_json_or_an_error_and_changes_nothing(symbol: str, left: Any, right: Any) -> None:
    context = {"l": left, "r": right}
    before = repr(context)
    result = outcome(lambda: render(f"{{{{ l {symbol} r }}}}", context))

    assert repr(context) == before
    if INFIX[symbol].compute is not None and isinstance(result, float):
        assert abs(result) < float("inf")
