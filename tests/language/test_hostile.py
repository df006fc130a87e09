"""Hostile templates and conditions: each returns a value or one of our errors, in bounded work."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.conditions import evaluate
from orchestrator.errors import ConditionError, ExpressionError
from orchestrator.expressions import render
from orchestrator.language import Env, compile_template
from orchestrator.language.condition_reader import MAX_DEPTH, build_evidence, compile_condition, find_problems
from orchestrator.language.values import MAX_TEXT_LENGTH, json_equal, read_date, read_number

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
OURS = (ExpressionError, ConditionError)


def environment(context: dict[str, Any]) -> Env:
    return Env(context, lambda: NOW, lambda: "id")


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result of a call, or our error that it raises; any other error fails the test."""
    try:
        return call()
    except OURS as error:
        return (type(error).__name__, str(error))


SIZE = 100_000
TEMPLATES = [
    "{{" * SIZE,
    "}}" * SIZE,
    "{{ " + "(" * SIZE,
    "{{ " + "[" * SIZE + " }}",
    "{{ a" + "[0]" * SIZE + " }}",
    "{{ a" + ".b" * SIZE + " }}",
    "{{ " + "days_ago(" * SIZE + " }}",
    "{{ a" + " | upper" * 20_000 + " }}",
    "{{ a | default(" + "a | default(" * 5_000 + " }}",
    "{{ " + "a | replace(" * 60 + " }}",
    "{{ " + "9" * SIZE + " }}",
    "{{ -" + "9" * SIZE + "x }}",
    "{{ 1." + "9" * SIZE + "e9x }}",
    "{{ 1e" + "9" * SIZE + " }}",
    "{{ '" + "\\'" * SIZE + " }}",
    '{{ "' + '\\"' * SIZE + " }}",
    "{{ " + "' \" " * 50_000 + " }}",
    "{{ " + "a" * SIZE + "() }}",
    "{{ a | " + "a" * SIZE + " }}",
    "{{" + " " * SIZE + "}}",
    "{{ a" + "?" * SIZE + " }}",
    "{{ a }}" * 30_000,
    "{{ '\\u0061' }}" * 15_000,
    "\n" * SIZE + "{{ a b }}",
    "\x00" * SIZE,
    "{{ 'a'" + " | json" * 60 + " }}",
    "{{ 'aaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaa')" * 20 + " }}",
    "{{ a | filter('" + "." * SIZE + "', 'exists') }}",
    "{{ a | filter('b', '" + "c" * SIZE + "', 1) }}",
    "{{ a | filter('b', 'equals', " + "c | filter('b', 'equals', " * 40 + " }}",
    "{{ items" + " | filter('', 'exists')" * 60 + " }}",
    "{{ " + "not " * SIZE + "a }}",
    "{{ " + "- " * SIZE + "1 }}",
    "{{ a" + " + a" * SIZE + " }}",
    "{{ a" + " ?? a" * SIZE + " }}",
    "{{ a" + "[a" * SIZE + " }}",
    "{{ (a)" + ".b" * SIZE + " }}",
    "{{ " + "$" * SIZE + " }}",
    "{{ 9" + " * 1e300" * 60 + " }}",
    "{{ '[" + "[" * SIZE + "' | parse }}",
    "{{ '" + "9" * SIZE + "' | parse }}",
    "{{ items" + " | chunk(1)" * 60 + " }}",
]


@pytest.mark.thorough
@pytest.mark.parametrize("index", range(len(TEMPLATES)), ids=lambda index: TEMPLATES[index][:24])
def test_a_hostile_template_returns_a_value_or_a_known_error(index: int) -> None:
    result = outcome(lambda: render(TEMPLATES[index], {"a": "x", "items": [[[[[["y"]]]]]]}))

    assert len(repr(result)) <= 8 * MAX_TEXT_LENGTH


def nest(condition: Any, times: int) -> Any:
    for _ in range(times):
        condition = {"type": "not", "condition": condition}
    return condition


def nest_value(value: Any, times: int) -> Any:
    for _ in range(times):
        value = [value]
    return value


LEAF = {"field": "a", "value": 1}


PATTERNS = (
    "(a|b)*a(a|b){20}c",
    "(x+x+)+y",
    "(?:a?){400}a{400}",
    "((((((a{9}){9}){9}){9}){9}){9}){9}",
    "[ab]*a[ab]{600}c",
    "(.*)" * 100 + "c",
    "(" * 500,
    "a" * 1_001,
    "(?P<n" + "n" * 900 + ">a)",
    "[" + "\\pL" * 300 + "]",
    "\\" * 999,
    "(?i)" * 200,
)
HOSTILE: dict[str, Any] = {
    "deep": nest(LEAF, 10_000),
    "wide": {"type": "and", "conditions": [LEAF] * SIZE},
    "many": {"type": "or", "conditions": [{"type": "and", "conditions": [LEAF] * 200}] * 200},
    "long words": {"field": "a" * SIZE, "operator": "b" * SIZE},
    "long type": {"type": "a" * SIZE},
    "huge type": {"type": 10**5000},
    "deep preset": {"preset": nest_value("x", 10_000)},
    "deep operator": {"field": "a", "operator": nest_value("x", 10_000)},
    "deep value": {"field": "a", "value": nest_value("x", 10_000)},
    "many templates": {"field": "a", "operator": "in", "value": ["{{ a }}"] * 20_000},
    "many keys": {**LEAF, **{f"key{index}": 1 for index in range(2_000)}},
    "long path": {"expression": "{{ a" + "[0]" * SIZE + " }}"},
    **{pattern[:24]: {"field": "long", "operator": "matches", "value": pattern} for pattern in PATTERNS},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_condition_returns_a_result_or_a_known_error(name: str) -> None:
    condition = HOSTILE[name]
    context = {"a": 1, "long": "ab" * 30_000}
    result = outcome(lambda: evaluate(condition, context))

    assert isinstance(result, bool) or result[0] in ("ConditionError", "EvaluationError")
    assert len(find_problems(condition, "")) <= 2_000
    assert len(str(result)) <= 10_000


@pytest.mark.thorough
def test_deeply_nested_data_is_compared_and_shown() -> None:
    context = {"a": nest_value(1, 50_000), "b": nest_value(1, 50_000), "c": nest_value(2, 50_000)}
    same = {"field": "a", "value": "{{ b }}"}

    assert evaluate(same, context) is True
    assert evaluate({**same, "value": "{{ c }}"}, context) is False
    assert evaluate({**same, "operator": "in", "value": ["{{ b }}"]}, context) is True
    seen = compile_condition(same).decide(environment(context))[1]
    assert build_evidence(seen, "true")["compared"][0]["seen"] == "list of 1"
    for template in ("{{ a }}!", "{{ a | json }}", "{{ a | unique }}", "{{ days_ago(a) }}", "{{ a | currency }}"):
        outcome(lambda template=template: render(template, context))  # type: ignore[misc]  # binds the loop's value


def count_operations(call: Callable[[], Any]) -> int:
    """Count the calls, of Python and C functions, that a call makes."""
    count = 0

    def tally(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tally)
    try:
        outcome(call)
    finally:
        sys.setprofile(None)
    return count


def make_filter(n: int) -> Callable[[], Any]:
    items = [{"n": index} for index in range(n)]
    return lambda: render('{{ items | filter("n", "less_than", 9) }}', {"items": items})


def make_pipes(n: int) -> Callable[[], Any]:
    items = [{"n": f"{index}"} for index in range(n)]
    return lambda: render('{{ items | map("n") | unique | sort | join | split | count }}', {"items": items})


@pytest.mark.parametrize(
    "family",
    [
        lambda n: lambda: compile_template("{{ a.b }}-" * n),
        lambda n: lambda: compile_template("{{ a" + ".b" * n + " }}"),
        lambda n: lambda: compile_template("{{ a }}\n" * n + "{{ b c }}"),
        lambda n: lambda: render(["{{ a }}"] * n, {"a": 1}),
        lambda n: lambda: render(json.loads('{"k":' * (n // 20) + '"{{ a }}"' + "}" * (n // 20)), {"a": 1}),
        lambda n: lambda: json_equal([[index] for index in range(n)], [[index] for index in range(n)], abs),
        lambda n: lambda: evaluate({"field": "a", "operator": "in", "value": list(range(n))}, {"a": -1}),
        lambda n: lambda: evaluate({"type": "and", "conditions": [LEAF] * (n // 4)}, {"a": 1}),
        lambda n: lambda: find_problems({"type": "or", "conditions": [{"field": "a b"}] * (n // 4)}, ""),
        make_filter,
        make_pipes,
        lambda n: (
            lambda: render(
                "{{ items | chunk(2) | count + (o | entries | count) }}",
                {"items": list(range(n)), "o": dict.fromkeys(map(str, range(n)))},
            )
        ),
        lambda n: lambda: render(["{{ items[i + 1] * 2 }}"] * n, {"items": [1, 2], "i": 0}),
    ],
    ids=[
        "expressions",
        "path",
        "error",
        "list",
        "nesting",
        "equal",
        "in",
        "and",
        "problems",
        "filter",
        "pipes",
        "entries",
        "computed",
    ],
)
def test_twice_the_size_takes_about_twice_the_work(family: Callable[[int], Callable[[], Any]]) -> None:
    small, large = (count_operations(family(n)) for n in (1_001, 2_002))

    assert large <= 2.3 * small + 100


def test_the_maximum_depth_fits_into_the_stack() -> None:
    chain = "a" + " | default(b)" * 49
    template = f"{{{{ {'start_of_day(' * 15}{chain}{')' * 15} }}}}"
    condition = nest({"field": template, "operator": "is_empty"}, MAX_DEPTH - 1)

    assert evaluate(condition, {"a": 1, "b": 2}) is (MAX_DEPTH % 2 == 1)


def test_a_long_text_is_neither_a_number_nor_a_date() -> None:
    # Texts of 900 kB took 2 ms each to refuse, at the cost of a short one. These have a value, so that none is parsed.
    assert read_number("0." + "1" * 4_998) == pytest.approx(1 / 9)
    assert read_number("0." + "1" * 4_999) is None
    assert read_number(" " * 5_000 + "1") is None
    assert read_date("2026-05-01T12:30:00." + "0" * 43 + "Z") == datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    assert read_date("2026-05-01T12:30:00." + "0" * 44 + "Z") is None
