"""Expressions that compute: operators, their precedence, computed keys, and hints for other languages."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.conditions import evaluate
from orchestrator.errors import EvaluationError, TemplateSyntaxError
from orchestrator.expressions import extract_variables, render
from orchestrator.language import compile_template, compile_value
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.condition_reader import find_problems
from orchestrator.language.env import Warnings
from orchestrator.language.other_languages import PIPES as OTHER_PIPES
from orchestrator.language.parser import MAX_DEPTH, MAX_PARTS
from orchestrator.language.pipes import PIPES
from orchestrator.language.values import MAX_TEXT_LENGTH

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
DATA: dict[str, Any] = {
    "a": 7,
    "b": 2,
    "f": 2.5,
    "zero": 0,
    "text": "ab",
    "none": None,
    "yes": True,
    "no": False,
    "empty": [],
    "items": [10, 20, 30],
    "i": 1,
    "prices": {"x-1": {"net": 5}, "true": "t", "2": "two"},
    "item": {"sku": "x-1"},
    "day": "2026-05-01",
    "in-stock": 4,
    "input": {"total": 9, "tax": 1},
}


def compute(expression: str, *, strict: bool = False) -> Any:
    return render(f"{{{{ {expression} }}}}", DATA, now=lambda: NOW, strict=strict)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", 9),
        ("a - b", 5),
        ("a * b", 14),
        ("a / b", 3.5),
        ("6 / b", 3),  # whole, not 3.0
        ("f / 2.5", 1.0),
        ("a % b", 1),
        ("-7 % 3", 2),
        ("a % f", 2.0),
        ("-a", -7),
        ("- 3", -3),
        ("a - -b", 9),
        ("2 * -b", -4),
        ("-(a + b)", -9),
        ("a+b", 9),
        ("a*b", 14),
        ("in-stock - b", 2),
        ("text + 'c'", "abc"),
        ("items + [b]", [10, 20, 30, 2]),
        ("a + b * 2", 11),
        ("(a + b) * 2", 18),
        ("a - b - 1", 4),
        ("12 / 2 / 3", 2),
        ("a > b", True),
        ("a >= 7 and b <= 2", True),
        ("a == 7.0", True),
        ("a == yes", False),
        ("day == '2026-05-01T00:00:00Z'", True),
        ("day < now()", True),
        ("text != 'ab'", False),
        ("none == null", True),
        ("gone == null", True),
        ("items == [10, 20, 30]", True),
        ("a + 1 > b * 4", False),
        ("not yes", False),
        ("not a > b", False),
        ("not not empty", False),
        ("no or yes and no", False),
        ("(no or yes) and yes", True),
        ("gone or 'x'", "x"),
        ("zero or empty or text", "ab"),
        ("yes and text or 'other'", "ab"),
        ("no and text or 'other'", "other"),
        ("gone ?? 'x'", "x"),
        ("zero ?? 'x'", 0),
        ("gone ?? none ?? 3", 3),
        ("gone ?? 0 > 5", False),
        ("a > gone ?? 0", True),
        ("(gone ?? 1) + 1", 2),
        ("items | count > 2", True),
        ("items | count + 1", 4),
        ("1 + (items | count)", 4),
        ("(a / b) | round", 4),
        ("text | upper == 'AB'", True),
        ("'AB' == text | upper", True),
        ("not items | count == 3", False),
        ("items[i]", 20),
        ("items[i + 1]", 30),
        ("items[-1]", 30),
        ("items[a - 8]", 30),
        ("items[4 / 2]", 30),
        ("items[f]", None),
        ("items[9 - 1]", None),
        ("items[none]", None),
        ("prices[item.sku].net", 5),
        ("prices[item.sku]['net'] * 2", 10),
        ('prices["x-" + "1"].net', 5),
        ("prices[b]", "two"),
        ("prices[yes]", "t"),
        ("prices[gone]", None),
        ("gone[i][i].x", None),
        ("text[i]", None),
        ("[1, 2][i]", 2),
        ('{"a": 1}["a"]', 1),
        ("(gone ?? prices).true", "t"),
        ("(items)", [10, 20, 30]),
        ("a.and.or.not", None),
        ("[a + 1, not yes]", [8, False]),
        ('{"sum": a + b, "big": a > b}', {"sum": 9, "big": True}),
        ("items | filter('', 'greater_than', a * 2) | count", 2),
        ("days_until(day) + 1", 1),
    ],
)  # fmt: skip
def test_an_expression_computes(expression: str, expected: Any) -> None:
    value = compute(expression)

    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("expression", "column", "message", "hint"),
    [
        ("a + gone", 3, "`+` takes two numbers, two texts or two lists, not a number and null", "write `(x ?? 0)`"),
        ("a + '1'", 3, "`+` takes two numbers, two texts or two lists, not a number and text", "use `| number`"),
        ("text + b", 6, "`+` takes two numbers, two texts or two lists, not text and a number", "use `| string`"),
        ("items + text", 7, "`+` takes two numbers, two texts or two lists, not a list and text", "use `| string`"),
        ("yes + 1", 5, "`+` takes two numbers, two texts or two lists, not true or false and a number", None),
        ("'3' * 2", 5, "`*` takes two numbers, not text and a number", "use `| number`"),
        ("a / zero", 3, "division by zero", None),
        ("a % 0.0", 3, "division by zero", None),
        ("1e308 * 10", 7, "the number is too large", None),
        ("-text", 1, "`-` takes a number, not text", None),
        ("-gone", 1, "`-` takes a number, not null", "write `(x ?? 0)`"),
    ],
)  # fmt: skip
def test_an_operator_that_cannot_take_its_values_is_an_error(
    expression: str, column: int, message: str, hint: str | None
) -> None:
    with pytest.raises(EvaluationError) as caught:
        compute(expression)

    assert (caught.value.line, caught.value.column) == (1, column + 3)
    assert caught.value.message == message
    assert (caught.value.hint or "").startswith(hint or "")
    assert (caught.value.hint is None) == (hint is None)


@pytest.mark.parametrize(
    ("expression", "column", "message", "hint"),
    [
        ("a + b | round", 7, "a pipe after `+` needs parentheses", "write `(a + b) | round` or `a + (b | round)`"),
        ("-a | round", 4, "a pipe after `-` needs parentheses", None),
        ("a ?? b | round", 8, "a pipe after `??` needs parentheses", "write `(a ?? b) | round` or `a ?? (b | round)`"),
        ("a ?? 0 + 1", 8, "`??` and `+` together need parentheses", "write `(a ?? 0) + b` or `a + (b ?? 0)`"),
        ("a - b ?? 0", 7, "`-` and `??` together need parentheses", None),
        ("a * b - b ?? 0", 11, "`-` and `??` together need parentheses", None),
        ("x > a ?? 0 * 2", 12, "`??` and `*` together need parentheses", None),
        ("a < b < 3", 7, "comparisons cannot be chained", "write `a < b and b < c`"),
        ("a == not b", 6, "`not` needs parentheses here", "write `(not x)`"),
        ("a -1", 3, "expected the end, found '-1'", "put spaces on both sides of a minus"),
        ("a -b", 3, "expected the end, found '-'", "put spaces on both sides of a minus"),
        ("3-1", 2, "expected the end, found '-1'", "put spaces on both sides of a minus"),
        ("[a -1]", 4, "expected `,` or `]`, found '-1'", "put spaces on both sides of a minus"),
        ("$json.x", 1, "unexpected '$'", "write `input.x` for the input of the run"),
        ("$input.item", 1, "unexpected '$'", "write `input.x`"),
        ("$('Node').item", 1, "unexpected '$'", "write `steps.<node id>.output.x`"),
        ("$node['x'].json", 1, "unexpected '$'", "write `steps.<node id>.output.x`"),
        ("$.order", 1, "unexpected '$'", "write `input.x`"),
        ("$now", 1, "unexpected '$'", "write `now()`"),
        ("${a}", 1, "unexpected '$'", "write the expression alone"),
        ("a ? b : c", 3, "there is no `x ? y : z`", "write `x and y or z`"),
        ("a > 1 ? 'x' : 'y'", 7, "expected the end, found '?'", "write `x and y or z`"),
        ("(a) ? b : c", 5, "there is no `x ? y : z`", "write `x and y or z`"),
        ("a if b else c", 3, "expected the end, found 'if'", "write `x and y or z`"),
        ("a?.b", 2, "`?.` is not an operator", "write `a.b`"),
        ("a && b", 3, "unexpected '&'", "write `and`"),
        ("a || b", 3, "unexpected '|'", "write `or`"),
        ("!a", 1, "unexpected '!'", "write `not`"),
        ("a AND b", 3, "expected the end, found 'AND'", "write `and`"),
        ("a === b", 3, "unexpected '='", "write `==`"),
        ("a !== b", 3, "unexpected '!'", "write `!=`"),
        ("a <> b", 3, "unexpected '<'", "write `!=`"),
        ("a = b", 3, "unexpected '='", "write `==`"),
        ("a is null", 3, "expected the end, found 'is'", "compare with `== null`"),
        ("a in items", 3, "expected the end, found 'in'", "use a condition with the operator `in`"),
        ("a ~ b", 3, "unexpected '~'", "write `+` to join texts"),
        ("a ** 2", 3, "unexpected '*'", "there is no power operator"),
        ("items[0:2]", 8, "expected ']', found ':'", "write `| slice(a, b)`"),
        ("text.upper()", 11, "expected the end, found '('", "write `x | upper`"),
        ("text.toUpperCase()", 17, "expected the end, found '('", "write `x | upper`"),
        ("len(items)", 1, "unknown function `len`", "write `x | length`"),
        ("upper(text)", 1, "unknown function `upper`", "write `x | upper`"),
        ("a | now", 5, "unknown pipe `now`", "write `now()`"),
        ("a | int", 5, "unknown pipe `int`", "write `x | number`"),
        ("a +", 4, "expected a value, found nothing", None),
        ("or a", 1, "expected a value, found 'or'", None),
        ("not", 4, "expected a value, found nothing", None),
        ("(a", 3, "expected ')', found the end", None),
        ("a)", 2, "expected the end, found ')'", None),
        ("a[true]", 3, "expected a whole number or a quoted key in `[ ]`", None),
        ("secrets.a + 'x'", 11, "an expression with a secret can contain only the secret", None),
        ("secrets[a]", 1, "all secrets together cannot be used", None),
        ("prices[secrets.a]", 7, "an expression with a secret can contain only the secret", None),
    ],
)  # fmt: skip
def test_a_mistake_has_a_position_and_says_what_to_write(
    expression: str, column: int, message: str, hint: str | None
) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template(f"{{{{ {expression} }}}}")

    assert (caught.value.line, caught.value.column) == (1, column + 3)
    assert caught.value.message.startswith(message)
    assert hint is None or (caught.value.hint or "").startswith(hint)


def test_every_pipe_that_a_hint_names_exists() -> None:
    assert set(OTHER_PIPES.values()) <= set(PIPES)


@pytest.mark.parametrize("symbol", INFIX)
def test_the_example_of_an_operator_computes_something(symbol: str) -> None:
    assert f" {symbol} " in INFIX[symbol].example
    compile_template(INFIX[symbol].example)


@pytest.mark.parametrize(
    "expression", ["gone ?? 1", "(gone ?? none) | default(1)", "prices[item.sku].x? == null", "gone[i]? ?? 1"]
)
def test_strict_accepts_what_is_marked_or_has_another_value(expression: str) -> None:
    assert compute(expression, strict=True) in (1, True)


@pytest.mark.parametrize(
    ("expression", "column", "message", "hint"),
    [
        ("prices[text]", 7, "the computed key leads to nothing", "mark it with `?` if it is optional"),
        ("zzz or 1", 1, "`zzz` is missing", "mark it with `?` if it is optional"),
        ("none ?? zzz", 9, "`zzz` is missing", "mark it with `?` if it is optional"),
        ("input.total-tax", 1, "`input.total-tax` is missing", "to subtract, put spaces on both sides of the minus"),
        ("a-b", 1, "`a-b` is missing", "to subtract, put spaces on both sides of the minus: `a - b`"),
    ],
)  # fmt: skip
def test_strict_refuses_what_is_missing(expression: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compute(expression, strict=True)

    assert (caught.value.column, caught.value.message) == (column + 3, message)
    assert (caught.value.hint or "").startswith(hint)


def test_the_right_side_is_computed_only_if_it_is_needed() -> None:
    assert compute("yes or a / zero") is True
    assert compute("no and a / zero") is False
    assert compute("a ?? (a / zero)") == 7


def test_a_comparison_that_cannot_take_its_values_is_false_and_warns() -> None:
    warnings = Warnings()

    assert render("{{ text > 3 }}", DATA, warnings=warnings) is False
    assert warnings.messages == [
        "`greater_than` takes two numbers or two dates, but `text` is text and the value is a number"
    ]


def test_a_computed_key_that_is_a_list_leads_to_nothing_and_warns() -> None:
    warnings = Warnings()

    assert render("{{ prices[items] }}", DATA, warnings=warnings) is None
    assert warnings.messages == ["`[ ]` takes a key or a whole number, not a list"]


def test_the_names_of_an_expression_are_those_of_all_its_parts() -> None:
    assert extract_variables("{{ prices[item.sku].net * (1 + tax) > limit ?? 0 and not closed }}") == [
        "prices", "item.sku", "tax", "limit", "closed",
    ]  # fmt: skip
    names = compile_value("{{ a ?? b }} {{ c[d].e? }}").names
    assert {(name.root, name.optional) for name in names} == {("a", True), ("b", False), ("c", True), ("d", False)}


def test_conditions_keep_their_meaning_and_may_compute() -> None:
    assert evaluate({"expression": "{{ a > b and items | count == 3 }}"}, DATA)
    assert evaluate({"field": "prices[item.sku].net", "operator": "equals", "value": "{{ b + 3 }}"}, DATA)
    assert evaluate({"field": "prices[item.sku].gross", "operator": "not_exists"}, DATA)
    assert evaluate({"field": "{{ a - b }}", "operator": "less_than", "value": 6}, DATA)
    (problem,) = find_problems({"field": "a + b", "operator": "equals", "value": 1}, "")
    assert problem.message == "'a + b' is not a path"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a" + " + a" * (MAX_PARTS + 1), "functions, pipes and operators"),
        ("not " * (MAX_PARTS + 1) + "a", "functions, pipes and operators"),
        ("- " * (MAX_PARTS + 1) + "a", "functions, pipes and operators"),
        ("a" + "[i]" * (MAX_PARTS + 1), "functions, pipes and operators"),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "nested deeper"),
        ("a[" * (MAX_DEPTH + 1) + "i" + "]" * (MAX_DEPTH + 1), "nested deeper"),
    ],
)
def test_an_expression_over_a_limit_is_an_error(expression: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message):
        compute(expression)


def test_an_expression_at_its_limits_computes() -> None:
    assert compute("a" + " + a" * MAX_PARTS) == 7 * (MAX_PARTS + 1)
    assert compute("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == 7
    assert compute("(a).x" + ".y" * 10_000) is None


def test_text_and_numbers_stay_bounded() -> None:
    big = {"s": "x" * (MAX_TEXT_LENGTH // 2), "n": 10**400}

    assert len(render("{{ s + s }}", big)) == MAX_TEXT_LENGTH
    for template in ("{{ s + s + 'x' }}", "{{ n + 1 }}", "{{ n * n }}"):
        with pytest.raises(EvaluationError, match=r"longer than|too large"):
            render(template, big)
