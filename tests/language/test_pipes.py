"""Every pipe of SPEC §3: its results, and the values that it leaves unchanged with a warning."""

import contextlib
import locale
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import EvaluationError, TemplateSyntaxError
from orchestrator.expressions import render
from orchestrator.language import PIPES, compile_template
from orchestrator.language.costs import VALUE_BUDGET
from orchestrator.language.env import Warnings
from orchestrator.language.values import MAX_TEXT_LENGTH

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
ROWS = [{"n": 1, "tag": "a"}, {"n": 5, "tag": "b"}, {"tag": "a"}, 7]

# fmt: off
MAKES: dict[str, list[tuple[Any, str, Any]]] = {
    "upper": [("aß", "upper", "ASS"), ("", "upper", ""), (7, "upper", "7")],
    "lower": [("AÉ", "lower", "aé")],
    "title": [("ann mcLEE", "title", "Ann Mclee"), ("it's  o'clock", "title", "It'S  O'Clock"), ("", "title", "")],
    "trim": [(" a b\n", "trim", "a b")],
    "length": [("été", "length", 3), ([1, 2], "length", 2), ({"a": 1}, "length", 1), ("", "length", 0)],
    "first": [([1, 2], "first", 1), ("ab", "first", "a"), ([], "first", None), ("", "first", None)],
    "last": [([1, 2], "last", 2), ("ab", "last", "b"), ([], "last", None)],
    "sum": [([1, 2.5], "sum", 3.5), ([], "sum", 0)],
    "min": [([3, 1.5], "min", 1.5), (["b", "a"], "min", "a")],
    "max": [([3, 1.5], "max", 3), (["b", "a"], "max", "b")],
    "join": [
        (["a", 1, None, True, [2]], "join", "a, 1, , true, [2]"),
        (["a", "b"], 'join("; ")', "a; b"),
        ([], "join", ""),
        ([1, 2], "join(0)", "102"),
    ],
    "keys": [({"b": 1, "a": 2}, "keys", ["b", "a"])],
    "values": [({"b": 1, "a": 2}, "values", [1, 2])],
    "json": [({"é": [1, None]}, "json", '{"é": [1, null]}'), ("a", "json", '"a"'), (None, "json", None)],
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
        (-5, "currency", "$-5.00"),
        (-0.005, "currency", "$-0.01"),
        ("1000000", "currency", "$1,000,000.00"),
        (0, "currency", "$0.00"),
        (2.675, "currency", "$2.67"),  # the nearest binary number is 2.67499…
    ],
    "date": [
        ("2026-05-01T23:30:00-02:00", "date", "2026-05-02"),
        ("2026-05-01", "date", "2026-05-01"),
        ("2026-05-01T22:30:00Z", 'date("%d.%m.%Y", "Europe/Berlin")', "02.05.2026"),
        ("2026-05-01T22:30:00Z", 'date("%-d. %B %Y, %H:%M %Z (%z)", "Europe/Berlin")',
            "2. May 2026, 00:30 CEST (+0200)"),
        ("2026-05-01T00:05:09.5Z", 'date("%a %A %b %y %-m %j %u %G-W%V %I:%M:%S %p .%f 100%%")',
            "Fri Friday May 26 5 121 5 2026-W18 12:05:09 AM .500000 100%"),
        ("0099-02-03", "date", "0099-02-03"),
    ],
    "datetime": [("2026-05-01T09:05:59Z", "datetime", "2026-05-01 09:05")],
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
        (ROWS[:2], 'filter("n", "greater_than", 2)', [{"n": 5, "tag": "b"}]),
        (ROWS, 'filter("", "equals", 7)', [7]),
        (ROWS, 'filter("tag", "exists")', ROWS[:3]),
        (ROWS, 'filter("tag", "not_exists")', ROWS[3:]),
        (ROWS, 'filter("tag", "equals", null)', [7]),
        (ROWS, 'filter("n", "is_empty") | count', 2),
        (ROWS, 'filter("n", "equals", y)', [{"n": 5, "tag": "b"}]),
        (ROWS, 'filter("tag", "in", "b,c" | split)', [{"n": 5, "tag": "b"}]),
        (ROWS, 'filter("tag", "in", ["b", "c"])', [{"n": 5, "tag": "b"}]),
        (ROWS, 'filter("tag", "matches", "[ab]$") | count', 3),
        ([{"a": [{"b": 1}]}, {"a": []}], 'filter("a.0.b", "equals", 1)', [{"a": [{"b": 1}]}]),
        ([{"at": "2026-04-01"}, {"at": "2026-06-01"}], 'filter("at", "after", now())', [{"at": "2026-06-01"}]),
        ([], 'filter("a", "equals", 1)', []),
    ],
    "count": [
        ([1, 2, 1], "count", 3),
        ([1, 2, 1.0], "count(1)", 2),
        ({"a": 1}, "count", 1),
        ("abc", "count", 3),
        (["a", True], 'count("a")', 1),
    ],
    "entries": [({"b": [1], "a": None}, "entries", [{"key": "b", "value": [1]}, {"key": "a", "value": None}]),
        ({}, "entries", [])],
    "chunk": [([1, 2, 3], "chunk(2)", [[1, 2], [3]]), ([], "chunk(2)", []), ([1], "chunk(2.0)", [[1]])],
    "parse": [('{"a": [1, null]}', "parse", {"a": [1, None]}), ("3", "parse", 3), ('"x"', "parse", "x"),
        ('{"a": 1, "a": 2}', "parse", {"a": 2})],
    "at": [
        ("2026-05-01T12:30:00Z", 'at("Europe/Berlin")', "2026-05-01T14:30:00+02:00"),
        ("2026-01-01", 'at("America/New_York")', "2025-12-31T19:00:00-05:00"),
        ("2026-05-01T12:30:00.5Z", 'at("UTC")', "2026-05-01T12:30:00.500000+00:00"),
    ],
    "hash": [
        ("abc", "hash", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("abc", 'hash("md5")', "900150983cd24fb0d6963f7d28e17f72"),
        ("abc", 'hash("sha1")', "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("é", 'hash("sha512") | slice(0, 8)', "9e2ad286"),
    ],
    "base64": [("é:ab", "base64", "w6k6YWI="), (12, "base64", "MTI="), ("", "base64", "")],
}
DECLINES: dict[str, list[tuple[Any, str]]] = {
    "upper": [(None, "upper"), ([1], "upper"), (True, "upper")],
    "lower": [({}, "lower")],
    "title": [(None, "title")],
    "trim": [(False, "trim")],
    "length": [(None, "length"), (3, "length")],
    "first": [({"a": 1}, "first"), (None, "first")],
    "last": [(5, "last")],
    "sum": [("12", "sum"), ([1, "x"], "sum"), (["1", 2], "sum"), ([10**308] * 2, "sum"),
        ([1e308, 1e308], "sum"), ([10**400, 0.5], "sum"), ([True], "sum")],
    "min": [([1, "a"], "min"), ([], "min"), ([None], "min"), (None, "min"), ([True], "min")],
    "max": [({}, "max"), ([], "max")],
    "join": [("ab", "join"), (["x" * 600_000] * 2, "join"), (None, "join")],
    "keys": [([1], "keys"), (None, "keys")],
    "values": [("a", "values")],
    "currency": [("abc", "currency"), (None, "currency"), (True, "currency"), (10**40, "currency"),
        (10**5000, "currency")],
    "date": [("yesterday", "date"), (0, "date"),
        (None, "date"), (1e300, "date"), (float("nan"), "date"), ([], "date")],
    "datetime": [("2026-13-01", "datetime"), (90_061, "datetime"), (True, "datetime")],
    "round": [("x", "round"), (1.5, 'round("a")'), (1.5, "round(0.5)"), (None, "round")],
    "replace": [(None, 'replace("a", "b")'), ("a", 'replace("", "b")'), ("a" * 2000, 'replace("a", x)')],
    "split": [([1], "split"), ("a", 'split("")')],
    "slice": [(5, "slice(0)"), ([1], 'slice("a")'), ([1], "slice(0, 1.5)")],
    "sort": [([1, "a"], "sort"), ([[1]], "sort"), ("ba", "sort"), ([None, 1], "sort")],
    "unique": [("aa", "unique"), (None, "unique")],
    "number": [("12 apples", "number"), ("1_000", "number"), ("nan", "number"), (None, "number"), (True, "number")],
    "bool": [("maybe", "bool")],
    "map": [({"a": 1}, 'map("a")'), ([1], "map(null)"), (None, 'map("a")')],
    "filter": [({"a": 1}, 'filter("a", "exists")'), (None, 'filter("a", "equals", 1)'), ("ab", 'filter("", "exists")')],
    "count": [(None, "count"), (5, "count"), ("abc", 'count("a")')],
    "entries": [([1], "entries"), (None, "entries")],
    "chunk": [("abc", "chunk(2)"), (None, "chunk(2)")],
    "parse": [("{", "parse"), (None, "parse"), ([1], "parse"), ("NaN", "parse"), ("[" * 201 + "]" * 201, "parse"),
        ('"\\ud800"', "parse")],
    "at": [("soon", 'at("UTC")'), (None, 'at("UTC")'), ("0001-01-01", 'at("America/New_York")')],
    "hash": [([1], "hash"), (None, "hash")],
    "base64": [({}, "base64"), (None, "base64"), ("x" * 800_000, "base64")],
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
def test_a_pipe_returns(value: Any, pipe: str, expected: Any) -> None:
    result, warnings = run(value, pipe)

    assert (result, type(result), warnings) == (expected, type(expected), [])


@pytest.mark.parametrize(
    ("name", "value", "pipe"),
    [(name, *row) for name, rows in DECLINES.items() for row in rows],
    ids=lambda part: str(type(part)) if isinstance(part, int) else repr(part)[:30],
)
def test_a_pipe_that_cannot_handle_its_value_leaves_it_unchanged_and_warns(name: str, value: Any, pipe: str) -> None:
    result, warnings = run(value, pipe)

    assert result is value
    assert len(warnings) == 1
    assert warnings[0].startswith(f"`{name}` takes ")
    assert re.search(r"; the value \([a-z ]+\) is left unchanged(: .+)?$", warnings[0])


@pytest.mark.parametrize(
    ("value", "pipe", "hint"),
    [
        ({"a": 1}, 'map("a")', "use `| values` for the values of an object"),
        (None, 'map("a")', "use `| default([])` if it may be missing"),
        ([1], "upper", "use `| json` for JSON text"),
        ({"a": 1}, "trim", "use `| json` for JSON text"),
        (5, 'map("a")', ""),
    ],
)
def test_a_warning_suggests_the_pipe_that_converts_the_value(value: Any, pipe: str, hint: str) -> None:
    _, (warning,) = run(value, pipe)

    assert warning.partition("left unchanged")[2] == (f": {hint}" if hint else "")


def test_the_tables_cover_every_pipe() -> None:
    assert set(MAKES) == set(PIPES)
    assert set(DECLINES) == set(PIPES) - ALWAYS_TAKE


@pytest.mark.parametrize("name", sorted(PIPES))
def test_the_example_of_a_pipe_is_valid_and_uses_it(name: str) -> None:
    pipe = PIPES[name]
    render(pipe.example, {})

    assert f"| {name}" in pipe.example
    assert pipe.signature.startswith(name)


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ('{{ d | date("%Q") }}', "`date`: unknown code '%Q' in the format of a date", "known codes: %Y"),
        ('{{ d | date("%d", "Europe/Brelin") }}', "`date`: unknown time zone 'Europe/Brelin'", "did you mean"),
        ('{{ d | date("%d", "localtime") }}', "`date`: unknown time zone 'localtime'", "use an IANA name"),
        ("{{ d | date(1) }}", "`date`: the format of a date must be text, not a number", 'date("%d'),
        ('{{ d | at("CET/CEST") }}', "`at`: unknown time zone 'CET/CEST'", ""),
        ('{{ d | at("Asia/Tokyo") | date }}', "`date`: it shows the time in UTC, so `at` has no effect", 'date("%d'),
        ('{{ d | at("Asia/Tokyo") | datetime }}', "`datetime`: it shows the time in UTC", 'date("%d'),
        ("{{ l | chunk(0) }}", "`chunk`: the size of a chunk is a whole number of at least 1, not 0", "chunk(100)"),
        ("{{ l | chunk(1.5) }}", "`chunk`: the size of a chunk is a whole number of at least 1, not 1.5", ""),
        ('{{ t | hash("sha") }}', "`hash`: unknown algorithm 'sha'", "did you mean `sha1`?"),
    ],
)
def test_a_wrong_argument_is_found_when_the_template_is_compiled(template: str, message: str, hint: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template(template)

    assert caught.value.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    "template",
    ["{{ d | date(x) }}", "{{ d | date('%d', x) }}", "{{ d | at(x) }}", "{{ l | chunk(x) }}", "{{ d | hash(x) }}"],
)
@pytest.mark.parametrize("value", [None, "%Q", [], 0.5, float("nan"), float("inf"), "x" * 200])
def test_a_wrong_argument_from_the_data_fails(template: str, value: Any) -> None:
    with pytest.raises(EvaluationError):
        render(template, {"d": "2026-05-01", "l": [1], "x": value})


def test_a_format_does_not_depend_on_the_locale() -> None:
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in ("de_DE.UTF-8", "C.UTF-8", "C"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, name)
            assert render('{{ d | date("%A %B") }}', {"d": "2026-05-01"}) == "Friday May"
    finally:
        locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize(
    ("template", "levels"), [("{{ [x] | chunk(1) }}", 198), ("{{ l | chunk(1) }}", 198), ("{{ o | entries }}", 198)]
)
def test_a_pipe_that_builds_lists_nests_at_most_200_levels(template: str, levels: int) -> None:
    def render_with(depth: int) -> Any:
        value: Any = []
        for _ in range(depth - 1):
            value = [value]
        return render(template, {"x": value, "l": [value], "o": {"a": value}})

    assert render_with(levels)
    with pytest.raises(EvaluationError, match="nested deeper than 200 levels"):
        render_with(levels + 1)


def test_a_filter_is_not_strict_about_elements_that_lack_a_field() -> None:
    template = '{{ items | filter("a", "equals", 1) }}'

    assert render(template, {"items": [{"a": 1}, {"b": 1}]}, strict=True) == [{"a": 1}]


def test_a_filter_drops_an_element_that_the_operator_cannot_compare_and_warns() -> None:
    warnings = Warnings()
    items = [{"total": "many"}, {"total": 20}]

    assert render('{{ items | filter("total", "greater_than", 10) }}', {"items": items}, warnings=warnings) == items[1:]
    assert warnings.messages == [
        "`greater_than` takes two numbers or two dates, but `total` is text and the value is a number"
    ]


def test_a_bad_pattern_from_the_data_fails_the_filter() -> None:
    with pytest.raises(EvaluationError, match="pattern") as caught:
        render('{{ items | filter("a", "matches", pattern) }}', {"items": [{"a": "x"}], "pattern": "("})

    assert (caught.value.line, caught.value.column) == (1, 12)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ('"invoice_overdue"', "takes 2 or 3 arguments, not 1", "filter(path, operator, value?), as in "),
        ("""'{"field": "a", "value": 1}'""", "takes 2 or 3 arguments, not 1", 'filter("total", "greater_than", 10)'),
        ('total, "equals", 1', "the path must be text in quotes", 'filter("total", "greater_than", 10)'),
        ('"total", equals, 1', "the operator must be text in quotes", 'filter("total", "greater_than", 10)'),
        ('"total", "greater_then", 1', "unknown operator 'greater_then'", "did you mean `greater_than`?"),
        ('"total", "?", 1', "unknown operator '?'", "known operators: equals, not_equals"),
        ('"total", "greater_than"', "`greater_than` needs a value", 'filter("total", "greater_than", 10)'),
        ('"total", "is_empty", 1', "`is_empty` takes no value", 'filter("name", "is_empty")'),
        ('"total", "less_than", "many"', "`less_than` takes a number or a date, not text", None),
        ('"total", "between", ["soon", 1]', "`between` takes [from, to], two dates, not a list", "for numbers use"),
        ('"total", "equals_", [1]', "unknown operator 'equals_'", "did you mean `equals`?"),
        ('"total", "less_than", [1]', "`less_than` takes a number or a date, not a list", None),
        ('"total", "in", "a"', "`in` takes a list, not text", None),
        ('"total", "matches", "("', "invalid pattern '('", None),
    ],
)  # fmt: skip
def test_a_filter_is_checked_when_it_is_compiled(arguments: str, message: str, hint: str | None) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template(f"{{{{ items | filter({arguments}) }}}}")

    assert caught.value.column == 12
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


def test_the_expressions_of_a_value_share_one_budget_of_work() -> None:
    text = "x" * (MAX_TEXT_LENGTH - 2)
    # `upper` costs one unit for each character that it reads, and one for each that it builds.
    most = VALUE_BUDGET // (2 * MAX_TEXT_LENGTH)

    assert render("{{ s | upper | length }}" * most, {"s": text}) == str(len(text)) * most
    with pytest.raises(EvaluationError, match="too much work"):
        render("{{ s | upper | length }}" * (most + 1), {"s": text})
    with pytest.raises(EvaluationError, match="too much work"):
        render(["{{ s | upper | length }}"] * (most + 1), {"s": text})


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ('"", "in", x', list(range(1_000))),
        ('"", "not_in", x', list(range(1_000))),
        ('"", "matches", x', "(a|b)*a(a|b){200}c"),
    ],
)
def test_the_comparisons_of_a_filter_are_bounded(arguments: str, value: Any) -> None:
    template = f"{{{{ items | filter({arguments}) | count }}}}"

    assert render(template, {"items": ["ab"] * 10, "x": value}) in (0, 10)
    with pytest.raises(EvaluationError, match="too much work"):
        render(template, {"items": ["ab" * 200] * 5_000, "x": value})
