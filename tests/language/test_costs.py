"""The cost of each piece of work: replay-sensitive numbers, and what a value may spend."""

from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import EvaluationError
from orchestrator.expressions import render
from orchestrator.language import FUNCTIONS, PIPES, Env, compile_value, costs
from orchestrator.language.condition_reader import compile_condition
from orchestrator.language.operators import OPERATORS
from orchestrator.model.plan import DEFAULT_YIELD_COST

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)

NUMBERS = {
    "ARITHMETIC": 40,
    "CHARACTER": 1,
    "COMPARED_CHARACTERS": 64,
    "COUNTED_ITEM": 30,
    "EXPRESSION": 50,
    "FILTERED_ITEM": 60,
    "FORMAT_CHARACTER": 30,
    "INDEX": 30,
    "JSON_CHARACTER": 3,
    "LISTED_ITEM": 60,
    "LITERAL_ITEM": 20,
    "LOGIC": 10,
    "NESTED_ITEM": 15,
    "NODE": 4_000,
    "PATH": 20,
    "SCHEMA_STEP": 200,
    "PATTERN_CHARACTER": 200,
    "PATTERN_INSTRUCTIONS": 8,
    "RESULT_ITEM": 10,
    "SEARCHED_CHARACTERS": 8,
    "SORTED_ITEM": 3,
    "TEXT": 10,
    "VALUE_BUDGET": 30_000_000,
}
PIPE_NUMBERS: dict[str, tuple[int, int, int]] = {
    "upper": (60, 1, 0), "lower": (60, 1, 0), "title": (60, 2, 0), "trim": (60, 1, 0), "length": (60, 0, 0),
    "first": (60, 0, 0), "last": (60, 0, 0), "sum": (60, 0, 40), "min": (60, 0, 20), "max": (60, 0, 20),
    "join": (60, 0, 10), "keys": (60, 0, 10), "values": (60, 0, 10), "json": (100, 0, 0), "default": (40, 0, 0),
    "currency": (200, 1, 0), "date": (250, 0, 0), "datetime": (250, 0, 0), "round": (300, 1, 0),
    "replace": (100, 1, 0), "split": (60, 1, 0), "slice": (60, 0, 0), "sort": (60, 0, 20), "unique": (100, 0, 60),
    "number": (100, 1, 0), "string": (60, 0, 0), "bool": (60, 1, 0), "map": (100, 0, 20), "filter": (100, 0, 0),
    "count": (60, 0, 0), "entries": (60, 0, 40), "chunk": (60, 0, 10), "parse": (200, 5, 0), "at": (400, 0, 0),
    "hash": (200, 1, 0), "base64": (60, 1, 0),
}  # fmt: skip
FUNCTION_NUMBERS = {
    "now": 250, "today": 250, "timestamp": 150, "uuid": 500, "days_ago": 300, "days_from_now": 300,
    "start_of_day": 400, "end_of_day": 400, "start_of_week": 400, "start_of_month": 400, "is_overdue": 400,
    "days_until": 400, "days_since": 400, "approval_link": 400,
}  # fmt: skip
OPERATOR_NUMBERS = {
    "equals": 60, "not_equals": 60, "greater_than": 60, "greater_than_or_equals": 60, "less_than": 60,
    "less_than_or_equals": 60, "contains": 60, "not_contains": 60, "starts_with": 60, "ends_with": 60,
    "is_empty": 20, "is_not_empty": 20, "in": 60, "not_in": 60, "matches": 250, "before": 250, "after": 250,
    "between": 400, "length_equals": 60, "length_greater_than": 60, "length_less_than": 60, "exists": 20,
    "not_exists": 20,
}  # fmt: skip


def measure(template: Any, context: dict[str, Any]) -> int:
    env = Env(context, lambda: NOW, lambda: "u")
    compile_value(template).render(env)
    return env.meter.spent


def test_no_number_has_changed() -> None:
    # A run yields by these numbers: another number moves the yields of recorded histories, which then do not replay.
    numbers = {name: value for name, value in vars(costs).items() if name.isupper() and isinstance(value, int)}

    assert numbers == NUMBERS
    assert {name: astuple(cost) for name, cost in costs.PIPE_COSTS.items()} == PIPE_NUMBERS
    assert costs.FUNCTION_COSTS == FUNCTION_NUMBERS
    assert costs.OPERATOR_COSTS == OPERATOR_NUMBERS
    assert DEFAULT_YIELD_COST == 20_000_000


def test_every_function_pipe_and_operator_has_a_cost() -> None:
    assert costs.FUNCTION_COSTS.keys() == FUNCTIONS.keys()
    assert costs.PIPE_COSTS.keys() == PIPES.keys()
    assert costs.OPERATOR_COSTS.keys() == OPERATORS.keys()


@pytest.mark.parametrize(
    ("template", "cost"),
    [
        ("text", 10),
        ("{{ n }}", 10 + 50 + 20),
        ("{{ o.a }}", 10 + 50 + 2 * 20),
        ("n={{ n }}", 10 + 50 + 20 + 3),  # three characters
        (["{{ n }}", "{{ n }}"], 2 * 80 + 2 * 15),  # the depth of the list is measured
        ("{{ l | sum }}", 10 + 50 + 20 + 60 + 3 * 40),
        ("{{ l | max }}", 10 + 50 + 20 + 60 + 3 * 20),
        ("{{ texts | min }}", 10 + 50 + 20 + 60 + 2 * 20 + 2 * 2 + 130),  # 64 characters are compared for one unit
        ("{{ l | sort }}", 10 + 50 + 20 + 60 + 3 * 20 + 3 * 3 * 2 + 3 * 10),  # 3 items are 2 doublings
        ('{{ "abcd" | upper }}', 10 + 50 + 60 + 4 + 4),
        ("{{ l | json }}", 10 + 50 + 20 + 100 + 3 * 9 + 9),  # [1, 2, 3]
        ('{{ orders | filter("total", "less_than", 50) | count }}', 10 + 50 + 20 + 100 + 60 + 2 * (60 + 20 + 60) + 10),
        ("{{ now() }}", 10 + 50 + 250),
        ("{{ n + n * 2 }}", 10 + 50 + 2 * 20 + 2 * 40),
        ("{{ -n }}", 10 + 50 + 20 + 40),
        ('{{ "ab" + "cd" }}', 10 + 50 + 40 + 4),
        ("{{ l + l }}", 10 + 50 + 2 * 20 + 40 + 6 * 10),
        ("{{ n > 2 }}", 10 + 50 + 20 + 60),
        ("{{ n ?? 1 or not n }}", 10 + 50 + 2 * 20 + 3 * 10),  # whether or not the right side is needed
        ("{{ l[n] }}", 10 + 50 + 2 * 20 + 30),
        ("{{ orders[n].total }}", 10 + 50 + 2 * 20 + 30 + 20),
        ('{{ now() | date("%d.%m.") }}', 10 + 50 + 250 + 250 + 6 * 30 + 6),
        ("{{ l | chunk(2) }}", 10 + 50 + 20 + 60 + 3 * 10 + 2 * 10 + 2 * 15 + 3 * 15),
        ("{{ steps }}", 10 + 50 + 20 + 1 * 15 + 15 + 15),  # the copy, and the depth of two objects
    ],
)  # fmt: skip
def test_a_value_costs(template: Any, cost: int) -> None:
    context = {
        "n": 3,
        "o": {"a": 1},
        "l": [1, 2, 3],
        "texts": ["x" * 130, "y" * 130],
        "orders": [{"total": 10}, {"total": 90}],
        "steps": {"a": {"status": "completed"}},
    }

    assert measure(template, context) == cost


def test_a_condition_has_one_budget_for_all_its_tests() -> None:
    one = {"field": "{{ text | upper | length }}", "operator": "equals", "value": 1}
    # Each test costs at least two million units for `upper`.
    condition = compile_condition({"type": "or", "conditions": [one] * 20})

    with pytest.raises(EvaluationError, match="too much work"):
        condition.evaluate(Env({"text": "x" * 1_000_000}, lambda: NOW, lambda: "u"))


SHARED: Any = ["leaf"]
for _ in range(40):
    SHARED = [SHARED, SHARED]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "template",
    [
        "{{ x | json }}",
        "as text: {{ x }}",
        "{{ [x] }}",
        {"wrapped": "{{ x }}"},
        "{{ [x, x] | unique }}",
        "{{ [x] | count(y) }}",
        "{{ [x] | join }}",
        '{{ [x] | filter("", "in", [y]) }}',
    ],
)
def test_work_on_shared_parts_is_bounded(template: Any) -> None:
    # As JSON the value would have two to the power of 40 leaves.
    with pytest.raises(EvaluationError, match=r"too much work|longer than"):
        render(template, {"x": SHARED, "y": [*SHARED]})


def nest(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("template", ["{{ [x] }}", ["{{ x }}"], {"a": "{{ x }}"}, '{{ {"a": x} }}'])
def test_a_built_value_nests_at_most_200_levels(template: Any) -> None:
    assert render(template, {"x": nest(199)})
    with pytest.raises(EvaluationError, match="nested deeper than 200 levels"):
        render(template, {"x": nest(200)})
