"""Every pipe of SPEC §3: what it makes, and that it leaves what it cannot take, with a warning."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import ConditionError, EvaluationError
from orchestrator.expressions import render
from orchestrator.language import PIPES
from orchestrator.language.env import MAX_WORK, Warnings
from orchestrator.language.values import MAX_TEXT_LENGTH

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
ROWS = [{"n": 1, "tag": "a"}, {"n": 5, "tag": "b"}, {"tag": "a"}, 7]

# fmt: off
MAKES: dict[str, list[tuple[Any, str, Any]]] = {
    "upper": [("aß", "upper", "ASS"), ("", "upper", ""), (7, "upper", "7")],
    "lower": [("AÉ", "lower", "aé")],
    "title": [("ann mcLEE", "title", "Ann Mclee"), ("it's  o'clock", "title", "It's  O'clock"), ("", "title", "")],
    "trim": [(" a b\n", "trim", "a b")],
    "length": [("été", "length", 3), ([1, 2], "length", 2), ({"a": 1}, "length", 1), ("", "length", 0)],
    "first": [([1, 2], "first", 1), ("ab", "first", "a"), ([], "first", None), ("", "first", None)],
    "last": [([1, 2], "last", 2), ("ab", "last", "b"), ([], "last", None)],
    "sum": [([1, 2.5], "sum", 3.5), (["1", 2], "sum", 3), ([], "sum", 0)],
    "min": [([3, 1.5], "min", 1.5), (["b", "a"], "min", "a"), ([], "min", None)],
    "max": [([3, 1.5], "max", 3), (["b", "a"], "max", "b"), ([], "max", None)],
    "join": [
        (["a", 1, None, True, [2]], "join", "a, 1, , true, [2]"),
        (["a", "b"], 'join("; ")', "a; b"),
        ([], "join", ""),
        ([1, 2], "join(0)", "102"),
    ],
    "keys": [({"b": 1, "a": 2}, "keys", ["b", "a"])],
    "values": [({"b": 1, "a": 2}, "values", [1, 2])],
    "json": [({"é": [1, None]}, "json", '{"é":[1,null]}'), ("a", "json", '"a"'), (None, "json", "null")],
    "default": [
        (None, 'default("x")', "x"),
        ("", 'default("x")', "x"),
        (0, 'default("x")', 0),
        (False, 'default("x")', False),
        ([], 'default("x")', []),
        (" ", 'default("x")', " "),
    ],
    "currency": [
        (1234.5, "currency", "$1,234.50"),
        (-0.005, "currency", "-$0.01"),
        ("1000000", "currency", "$1,000,000.00"),
        (0, "currency", "$0.00"),
        (2.675, "currency", "$2.68"),  # as written, not as the nearest binary number
    ],
    "date": [
        ("2026-05-01T23:30:00-02:00", "date", "2026-05-02"),
        ("2026-05-01", "date", "2026-05-01"),
        (0, "date", "1970-01-01"),
        ("0099-02-03", "date", "0099-02-03"),
    ],
    "datetime": [("2026-05-01T09:05:59Z", "datetime", "2026-05-01 09:05"), (90_061, "datetime", "1970-01-02 01:01")],
    "round": [
        (2.5, "round", 3),
        (-2.5, "round", -3),
        (1.005, "round(2)", 1.01),
        (7, "round(2)", 7),
        (1250, "round(-2)", 1300),
        ("1.26", "round(1)", 1.3),
    ],
    "replace": [("a-b-c", 'replace("-", "+")', "a+b+c"), ("a", 'replace("x", "y")', "a"),
        (101, 'replace("0", "")', "11")],
    "split": [("a,b,", "split", ["a", "b", ""]), ("a - b", 'split(" - ")', ["a", "b"]), ("", "split", [""])],
    "slice": [
        ([1, 2, 3], "slice(1)", [2, 3]),
        ([1, 2, 3], "slice(0, 2)", [1, 2]),
        ("abc", "slice(-2)", "bc"),
        ("abc", "slice(0, -1)", "ab"),
        ([1], "slice(5, 9)", []),
    ],
    "sort": [([3, 1, 2.5], "sort", [1, 2.5, 3]), (["b", "B", "a"], "sort", ["B", "a", "b"]), ([], "sort", [])],
    "unique": [
        ([1, 1.0, True, "1", None, None], "unique", [1, True, "1", None]),
        ([{"a": 1}, {"a": 1}], "unique", [{"a": 1}]),
    ],
    "number": [("12", "number", 12), (" 1.5 ", "number", 1.5), ("-3e2", "number", -300.0), (4, "number", 4)],
    "string": [(1.5, "string", "1.5"), (None, "string", ""), (True, "string", "true"), ([1], "string", "[1]")],
    "bool": [
        ("Yes", "bool", True),
        (" off ", "bool", False),
        ("", "bool", False),
        (0, "bool", False),
        ([0], "bool", True),
        (None, "bool", False),
    ],
    "map": [
        (ROWS, 'map("n")', [1, 5, None, None]),
        ([{"a": [{"b": 1}]}], 'map("a.0.b")', [1]),
        ([[1, 2]], 'map("-1")', [2]),
        ([[1]], 'map("--1")', [None]),
        ([[1]], 'map("²")', [None]),
    ],
    "filter": [
        (ROWS[:2], """filter('{"field": "n", "operator": "greater_than", "value": 2}')""", [{"n": 5, "tag": "b"}]),
        (ROWS, """filter('{"field": "item", "value": 7}')""", [7]),
        (ROWS, """filter('{"field": "item.tag", "operator": "exists"}')""", ROWS[:3]),
        (ROWS, """filter('{"expression": "{{ n }}"}') | count""", 2),
        ([{"at": "2026-04-01"}, {"at": "2026-06-01"}],
         """filter('{"field": "at", "operator": "after", "value": "{{ now() }}"}')""", [{"at": "2026-06-01"}]),
        ([], 'filter("payment_failed")', []),
        ([{"status": "failed"}, {"payment": {"status": "failed"}}, 1], 'filter("payment_failed") | length', 2),
    ],
    "count": [
        ([1, 2, 1], "count", 3),
        ([1, 2, 1.0], "count(1)", 2),
        ({"a": 1}, "count", 1),
        ("abc", "count", 3),
        (["a", True], 'count("a")', 1),
    ],
}
DECLINES: dict[str, list[tuple[Any, str]]] = {
    "upper": [(None, "upper"), ([1], "upper"), (True, "upper")],
    "lower": [({}, "lower")],
    "title": [(None, "title")],
    "trim": [(False, "trim")],
    "length": [(None, "length"), (3, "length")],
    "first": [({"a": 1}, "first"), (None, "first")],
    "last": [(5, "last")],
    "sum": [("12", "sum"), ([1, "x"], "sum"), ([1e308, 1e308], "sum"), ([10**400, 0.5], "sum"), ([True], "sum")],
    "min": [([1, "a"], "min"), ([None], "min"), (None, "min"), ([True], "min")],
    "max": [({}, "max")],
    "join": [("ab", "join"), (["x" * 600_000] * 2, "join"), (None, "join")],
    "keys": [([1], "keys"), (None, "keys")],
    "values": [("a", "values")],
    "currency": [("abc", "currency"), (None, "currency"), (True, "currency"), (10**40, "currency"),
        (10**5000, "currency")],
    "date": [("yesterday", "date"), (None, "date"), (1e300, "date"), (float("nan"), "date"), ([], "date")],
    "datetime": [("2026-13-01", "datetime"), (True, "datetime")],
    "round": [("x", "round"), (1.5, 'round("a")'), (1.5, "round(0.5)"), (None, "round")],
    "replace": [(None, 'replace("a", "b")'), ("a", 'replace("", "b")'), ("a" * 2000, 'replace("a", x)')],
    "split": [([1], "split"), ("a", 'split("")')],
    "slice": [(5, "slice(0)"), ([1], 'slice("a")'), ([1], "slice(0, 1.5)")],
    "sort": [([1, "a"], "sort"), ([[1]], "sort"), ("ba", "sort"), ([None, 1], "sort")],
    "unique": [("aa", "unique"), (None, "unique")],
    "number": [("12 apples", "number"), ("1_000", "number"), ("nan", "number"), (None, "number"), (True, "number")],
    "bool": [("maybe", "bool")],
    "map": [({"a": 1}, 'map("a")'), ([1], "map(null)"), (None, 'map("a")')],
    "filter": [({"a": 1}, 'filter("payment_failed")'), (None, 'filter("payment_failed")'), ([1], "filter(y)")],
    "count": [(None, "count"), (5, "count"), ("abc", 'count("a")')],
}
# fmt: on
ALWAYS_TAKE = {"json", "default", "string"}


def run(value: Any, pipe: str) -> tuple[Any, list[str]]:
    warnings = Warnings()
    context = {"v": value, "x": "b" * 1000, "y": 5}
    return render(f"{{{{ v | {pipe} }}}}", context, now=lambda: NOW, warnings=warnings), warnings.messages


@pytest.mark.parametrize(
    ("value", "pipe", "expected"), [row for rows in MAKES.values() for row in rows], ids=lambda part: repr(part)[:30]
)
def test_a_pipe_makes(value: Any, pipe: str, expected: Any) -> None:
    made, warnings = run(value, pipe)

    assert (made, type(made), warnings) == (expected, type(expected), [])


@pytest.mark.parametrize(
    ("name", "value", "pipe"),
    [(name, *row) for name, rows in DECLINES.items() for row in rows],
    ids=lambda part: str(type(part)) if isinstance(part, int) else repr(part)[:30],
)
def test_a_pipe_that_cannot_take_its_value_leaves_it_and_warns(name: str, value: Any, pipe: str) -> None:
    made, warnings = run(value, pipe)

    assert made is value
    assert len(warnings) == 1
    assert warnings[0].startswith(f"`{name}` takes ")
    assert warnings[0].endswith(") is left as it is")


def test_the_tables_speak_of_every_pipe() -> None:
    assert set(MAKES) == set(PIPES)
    assert set(DECLINES) == set(PIPES) - ALWAYS_TAKE


@pytest.mark.parametrize("name", sorted(PIPES))
def test_the_example_of_a_pipe_can_be_read_and_shows_it(name: str) -> None:
    pipe = PIPES[name]
    render(pipe.example, {})

    assert f"| {name}" in pipe.example
    assert pipe.signature.startswith(name)


def test_a_filter_sees_its_element_only() -> None:
    context = {"items": [{"a": 1}], "limit": 1}

    assert render("""{{ items | filter('{"field": "a", "value": "{{ limit }}"}') }}""", context) == []


def test_a_filter_is_not_strict_about_elements_that_lack_a_field() -> None:
    template = """{{ items | filter('{"field": "a", "value": 1}') }}"""

    assert render(template, {"items": [{"a": 1}, {"b": 1}]}, strict=True) == [{"a": 1}]


def test_a_condition_out_of_the_data_filters_or_fails() -> None:
    items = [{"a": 1}, {"a": 2}]

    assert render("{{ items | filter(c) }}", {"items": items, "c": '{"field": "a", "value": 2}'}) == [{"a": 2}]
    with pytest.raises(ConditionError, match="no operator"):
        render("{{ items | filter(c) }}", {"items": items, "c": '{"field": "a", "operator": "eq"}'})


def test_filters_inside_filters_are_bounded() -> None:
    inner = '{"expression": "{{ below | filter(keep) | count }}"}'
    leaf: dict[str, Any] = {"below": [1], "keep": '{"field": "item", "value": 1}'}
    three = {"below": [{"below": [leaf], "keep": inner}], "keep": inner}
    four = {"below": [three], "keep": inner}

    assert render("{{ below | filter(keep) | count }}", three) == 1
    with pytest.raises(EvaluationError, match="filters inside each other"):
        render("{{ below | filter(keep) }}", four)


def test_all_that_the_pipes_of_a_template_make_is_bounded_together() -> None:
    text = "x" * (MAX_TEXT_LENGTH - 2)
    pairs = MAX_WORK // MAX_TEXT_LENGTH
    small = '{"expression": "{{ big | upper | length }}"}'

    assert render("{{ s | upper | length }}" * (pairs - 1), {"s": text}) == str(len(text)) * (pairs - 1)
    with pytest.raises(EvaluationError, match="make too much"):
        render("{{ s | upper | length }}" * (pairs + 1), {"s": text})
    with pytest.raises(EvaluationError, match="make too much"):
        render("{{ items | filter(c) }}", {"items": [{"big": text}] * (pairs + 1), "c": small})


def test_each_template_has_its_own_bound() -> None:
    text = "x" * (MAX_TEXT_LENGTH - 2)

    assert len(render(["{{ s | upper }}"] * 40, {"s": text})) == 40
