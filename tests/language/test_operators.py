"""Every operator of SPEC §4 by a table: missing, null, wrong types, zones, true and false against numbers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.language import Env
from orchestrator.language.condition_reader import compile_condition, find_problems
from orchestrator.language.operators import OPERATORS

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ABSENT = object()
"""Marks a missing field in the tables."""
YES, NO, WARNED, WARNED_TRUE = (True, 0), (False, 0), (False, 1), (True, 1)


def decide(operator: str, seen: Any, value: Any) -> tuple[bool, int]:
    """Return the result and the number of warnings, the same for a literal and a template."""
    context: dict[str, Any] = {"wanted": value} if seen is ABSENT else {"seen": seen, "wanted": value}

    def outcome(written: Any) -> tuple[bool, int]:
        given = Env(context, lambda: NOW, lambda: "id")
        holds = compile_condition({"field": "seen", "operator": operator, "value": written}).evaluate(given)
        return holds, len(given.warnings.messages)

    templated = outcome("{{ wanted }}")
    if find_problems({"field": "seen", "operator": operator, "value": value}, ""):
        assert templated[1] == 1  # only what would be warned of may be refused beforehand
    else:
        assert outcome(value) == templated
    return templated


# fmt: off
TRUTHS: dict[str, list[tuple[Any, Any, tuple[bool, int]]]] = {
    "equals": [
        ("a", "a", YES),
        ("a", "A", NO),
        (1, 1.0, YES),
        (1, "1", NO),
        (1, True, NO),
        (0, False, NO),
        (True, True, YES),
        (None, None, YES),
        (ABSENT, None, YES),
        (ABSENT, 0, NO),
        ("", None, NO),
        ([1, {"a": 2}], [1.0, {"a": 2}], YES),
        ([1, True], [1, 1], NO),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, YES),
        ({"a": 1}, {"a": 1, "b": None}, NO),
        ("2026-01-01", "2026-01-01T00:00:00Z", YES),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", YES),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z", YES),
        ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00Z", NO),
        (["2026-01-01"], ["2026-01-01T00:00:00Z"], NO),
        ("2026-02-30", "2026-02-30", YES),  # no date, but the same text
    ],
    "greater_than": [
        (2, 1, YES),
        (1, 1, NO),
        (0, -1, YES),
        (2, "1.5", YES),
        ("10", "9", YES),  # as text it would be false
        (" 10 ", 9, YES),
        ("1e3", 999, YES),
        (10**30, 1e29, YES),
        ("2026-05-02", "2026-05-01T23:59:59Z", YES),
        ("2026-05-01T00:00:00+02:00", "2026-04-30T22:00:00Z", NO),  # the same instant
        (True, 0, WARNED),
        ("b", "a", WARNED),
        (None, 1, WARNED),
        (ABSENT, 1, WARNED),
        ("1_000", 1, WARNED),
        ("nan", 1, WARNED),
        (float("inf"), 1, WARNED),
        (1, "2026-05-01", WARNED),
        ([2], [1], WARNED),
    ],
    "greater_than_or_equals": [
        (1, 1, YES),
        (0, 0, YES),
        (0.5, 1, NO),
        ("2026-05-01", "2026-05-01", YES),
        ("x", 1, WARNED),
    ],
    "less_than": [(0, 1, YES), (1, 1, NO), (-1, "0", YES), ("2026-04-30", "2026-05-01", YES), ({}, 1, WARNED)],
    "less_than_or_equals": [
        (1, 1.0, YES),
        (2, 1, NO),
        ("2026-05-01T00:00:00Z", "2026-05-01", YES),
        (ABSENT, 1, WARNED),
    ],
    "contains": [
        ("abc", "b", YES),
        ("abc", "B", NO),
        ("abc", "", YES),
        ([1, 2], 2.0, YES),
        ([1, 2], True, NO),
        ([None], None, YES),
        ([{"a": 1}], {"a": 1}, YES),
        (["2026-01-01"], "2026-01-01T00:00:00Z", YES),
        ({"a": None}, "a", YES),
        ({"1": 1}, 1, YES),
        ({"a": "b"}, "b", NO),
        ({"a": 1}, None, NO),
        ("a1", 1, YES),
        (2026, "02", YES),
        ("abc", None, WARNED),
        (True, "r", WARNED),
        (None, "a", NO),
        (ABSENT, "a", NO),
    ],
    "starts_with": [
        ("abc", "ab", YES),
        ("abc", "b", NO),
        (4012, "40", YES),
        ("a", "", YES),
        (["a"], "a", WARNED),
        (None, "a", NO),
    ],
    "ends_with": [("abc", "bc", YES), ("abc", "ab", NO), ("n7", 7, YES), (True, "e", WARNED), (ABSENT, "", NO)],
    "is_empty": [
        (None, None, YES),
        ("", None, YES),
        ([], None, YES),
        ({}, None, YES),
        (ABSENT, None, YES),
        (0, None, NO),
        (False, None, NO),
        (" ", None, NO),
        ([None], None, NO),
    ],
    "in": [
        ("a", ["a", "b"], YES),
        ("c", ["a", "b"], NO),
        (1, [1.0], YES),
        (True, [1], NO),
        (None, [None], YES),
        (ABSENT, [None], YES),
        (ABSENT, ["a"], NO),
        ("a", [], NO),
        ([1], [[1]], YES),
        ("2026-01-01", ["2026-01-01T00:00:00Z"], YES),
        ("a", "abc", WARNED),
        ("a", None, WARNED),
        ("a", {"a": 1}, WARNED),
    ],
    "matches": [
        ("INV-12", r"INV-\d+", YES),
        ("INV-12 old", r"INV-\d+", YES),  # from the start, not to the end
        ("INV-12 old", r"INV-\d+$", NO),
        ("an INV-12", r"INV-\d+", NO),
        ("an INV-12", r".*INV-\d+", YES),
        ("été", r"\pL{3}$", YES),
        ("a\nb", r"a.b", NO),
        ("a\nb", r"(?s)a.b", YES),
        ("AB", r"(?i)ab", YES),
        ("", r"", YES),
        (404, r"4..$", YES),
        ("\ud800x", r".x", YES),  # half a pair is matched as a replacement
        (None, r".*", NO),
        (ABSENT, r".*", NO),
        (["a"], r"a", WARNED),
        ("a" * 100_000, r"a", YES),
        ("a" * 100_000, r"(a|b){1000}", WARNED),  # each character may cost thousands of steps
        ("a", 1, WARNED),
    ],
    "before": [
        ("2026-04-30", "2026-05-01", YES),
        ("2026-05-01", "2026-05-01", NO),
        ("2026-05-01T01:00:00+02:00", "2026-05-01", YES),
        (5, "2026-05-01", WARNED),
        ("soon", "2026-05-01", WARNED),
        (ABSENT, "2026-05-01", WARNED),
        ("2026-05-01", 7, WARNED),
    ],
    "after": [
        ("2026-05-02", "2026-05-01", YES),
        ("2026-05-01T00:00:00.001Z", "2026-05-01", YES),
        ("2026-05-01", "2026-05-01", NO),
        (None, "2026-05-01", WARNED),
    ],
    "between": [
        ("2026-05-01", ["2026-05-01", "2026-05-31"], YES),
        ("2026-05-31T00:00:00Z", ["2026-05-01", "2026-05-31"], YES),
        ("2026-05-31T00:00:01Z", ["2026-05-01", "2026-05-31"], NO),
        ("2026-06-01", ["2026-05-01", "2026-05-31"], NO),
        ("2026-05-15", ["2026-05-31", "2026-05-01"], NO),
        ("2026-05-15", ["2026-05-01"], WARNED),
        ("2026-05-15", "2026-05-01", WARNED),
        (5, ["2026-05-01", "2026-05-31"], WARNED),
        (5, [1, 9], WARNED),
        (ABSENT, ["2026-05-01", "2026-05-31"], WARNED),
    ],
    "length_equals": [
        ("abc", 3, YES),
        ([1], "1", YES),
        ({"a": 1}, 1.0, YES),
        ([], 0, YES),
        (None, 0, NO),
        (ABSENT, 0, NO),
        (12, 2, WARNED),
        ("a", None, WARNED),
    ],
    "length_greater_than": [([1, 2], 1, YES), ([1], 1, NO), ("ab", 1.5, YES), (True, 0, WARNED)],
    "length_less_than": [("", 1, YES), ("a", 1, NO), ({}, 1, YES), (ABSENT, 1, NO), ("a", "x", WARNED)],
    "exists": [(1, None, YES), (None, None, YES), ("", None, YES), (ABSENT, None, NO)],
}
# fmt: on
OPPOSITES = {
    "not_equals": "equals",
    "not_contains": "contains",
    "is_not_empty": "is_empty",
    "not_in": "in",
    "not_exists": "exists",
}


@pytest.mark.parametrize(
    ("operator", "seen", "value", "expected"),
    [(operator, *row) for operator, rows in TRUTHS.items() for row in rows],
    ids=lambda part: "absent" if part is ABSENT else repr(part)[:24],
)
def test_an_operator_returns(operator: str, seen: Any, value: Any, expected: tuple[bool, int]) -> None:
    assert decide(operator, seen, value) == expected


@pytest.mark.parametrize(
    ("negation", "seen", "value", "expected"),
    [
        (negation, seen, value, (not holds, warnings))
        for negation, operator in OPPOSITES.items()
        for seen, value, (holds, warnings) in TRUTHS[operator]
    ],
    ids=lambda part: "absent" if part is ABSENT else repr(part)[:24],
)
def test_a_negation_is_true_where_its_operator_is_false(
    negation: str, seen: Any, value: Any, expected: tuple[bool, int]
) -> None:
    assert decide(negation, seen, value) == expected


def test_every_operator_of_the_contract_exists() -> None:
    named = (
        "equals not_equals greater_than greater_than_or_equals less_than less_than_or_equals contains not_contains "
        "starts_with ends_with is_empty is_not_empty in not_in matches before after between length_equals "
        "length_greater_than length_less_than exists not_exists"
    )

    assert " ".join(OPERATORS) == named
    assert set(TRUTHS) | set(OPPOSITES) == set(OPERATORS)
    assert {name: operator.negates for name, operator in OPERATORS.items() if operator.negates} == OPPOSITES
