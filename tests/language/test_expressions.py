"""Templates (SPEC §3): paths, literals, types, text, strict mode, secrets, and errors with their positions."""

import copy
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import EvaluationError, TemplateSyntaxError
from orchestrator.expressions import default_env, extract_variables, render, validate_variables
from orchestrator.language import (
    FUNCTIONS,
    MISSING,
    PIPES,
    Env,
    compile_expression,
    compile_template,
    compile_value,
    find_secret_names,
    render_parameters,
    reveal,
    walk,
)
from orchestrator.language.env import Warnings
from orchestrator.language.lexer import MAX_TEMPLATE_LENGTH
from orchestrator.language.parser import MAX_DEPTH, MAX_PARTS
from orchestrator.language.template import MAX_NESTING
from orchestrator.language.values import MAX_TEXT_LENGTH

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
CONTEXT = {
    "a": {"b-c": 1, "odd key": 2, "0": "zero", "true": "yes", "null": None},
    "items": [{"x": 1}, {"x": 2}, [7, 8]],
    "n": 3,
    "f": 2.5,
    "t": True,
    "none": None,
    "text": "hi",
    "key": "x",
    "x": "not a part of anything",
    "été": "summer",
}


def env(context: dict[str, Any], *, strict: bool = False) -> Env:
    return Env(context, lambda: NOW, lambda: "id", strict)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("n", 3),
        ("a.b-c", 1),
        ('a["odd key"]', 2),
        ("a['odd key']", 2),
        ("items[0].x", 1),
        ("items[-1][0]", 7),
        ("items.1.x", 2),
        ("items.2.1", 8),
        ("items[3]", None),
        ("items[-4]", None),
        ("items.x", None),
        ('items["1"].x', 2),
        ("a.0", "zero"),
        ("a[0]", "zero"),
        ("a.true", "yes"),
        ("a.null", None),
        ("été", "summer"),
        ("(items[0]).x", 1),
        ("(items[0])['x']", 1),
        ("(items[0])[key]", 1),
        ("((items)[0]).x", 1),
        ("(items[2]).1", 8),
        ("text.length", None),
        ("n.real", None),
        ("a.__class__", None),
        ("nope.deep.er", None),
        ("none.x?", None),
        ('"it\'s"', "it's"),
        ("'say \\'hi\\''", "say 'hi'"),
        (r'"a\n\t\\\"\u00e9"', 'a\n\t\\"é'),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d"', "\ufffd"),
        ('"}} {{"', "}} {{"),
        ("12", 12),
        ("-1.5e2", -150.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("  n  ", 3),
        ("\n n \t", 3),
        ("n | string", "3"),
        ("items | map('x') | first", 1),
        ('nope | default(text) | default("z")', "hi"),
        ('none | default(items[0].x | string)', "1"),
    ],
)  # fmt: skip
def test_an_expression_evaluates_to(expression: str, expected: Any) -> None:
    value = render(f"{{{{{expression}}}}}", CONTEXT)

    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain } text { here", "plain } text { here"),
        ("{{ items }}", CONTEXT["items"]),
        (" {{ n }}\n", 3),
        ("{{ [n, {'a': n, 'b': {}}] }}", [3, {"a": 3, "b": {}}]),
        ('{{ {"a": {"b": {}}} }}', {"a": {"b": {}}}),
        ("{{ gone | default }}", ""),
        ("{{ gone | default([]) }}", []),
        ("{{ gone | default({}) }}", {}),
        ("{{ n }}{{ n }}", "33"),
        ("<{{ none }}{{ nope }}>", "<>"),
        ("{{ t }}, {{ f }}, {{ text }}", "true, 2.5, hi"),
        ("{{ items }}!", '[{"x": 1}, {"x": 2}, [7, 8]]!'),
        ("{{ a }}!", '{"b-c": 1, "odd key": 2, "0": "zero", "true": "yes", "null": null}!'),
        ('{{ "é" }}: {{ items[2] | map("x") }}', "é: [null, null]"),
        ("a\n{{ n }}\n", "a\n3\n"),
        ({"{{ text }}": ["{{ n }}", {"k": "{{ t }}"}], "x": 1}, {"hi": [3, {"k": True}], "x": 1}),
        ({"{{ n }}": 1}, {"3": 1}),
        ([None, 1, True], [None, 1, True]),
        ({1: "{{ n }}"}, {1: 3}),
    ],
    ids=str,
)
def test_a_template_renders_to(template: Any, expected: Any) -> None:
    assert render(template, CONTEXT) == expected


@pytest.mark.parametrize(
    ("template", "place", "message", "hint"),
    [
        ("{{ a", (1, 1), "`{{` is never closed", "close it with `}}`"),
        ("x\n  {{ a {{ b }}", (2, 3), "`{{` is never closed", "close it with `}}`"),
        ("{{ 'a }}", (1, 4), "the quote is never closed", None),
        ("{{ }}", (1, 3), "expected a value, found nothing", None),
        ("{{ a b }}", (1, 6), "expected the end, found 'b'", None),
        ("ok {{ n }}\n{{ a. }}", (2, 6), "expected a name after `.`", 'quote other keys: a["odd key"]'),
        ("{{ a[ }}", (1, 6), "expected a value, found nothing", None),
        ("{{ a[1.5] }}", (1, 6), "expected a whole number or a quoted key in `[ ]`", None),
        ("{{ a[0 }}", (1, 7), "expected ']', found the end", None),
        ("{{ a | }}", (1, 7), "expected a name, found the end", None),
        ("{{ a |\n uper }}", (2, 2), "unknown pipe `uper`", "did you mean `upper`?"),
        ("{{ dayago(3) }}", (1, 4), "unknown function `dayago`", "did you mean `days_ago`?"),
        ("{{ print(3) }}", (1, 4), "unknown function `print`", None),
        ("{{ days_ago() }}", (1, 4), "`days_ago` takes 1 argument, not 0", "days_ago(n), as in {{ days_ago(30) }}"),
        (
            "{{ a | slice }}",
            (1, 8),
            "`slice` takes 1 or 2 arguments, not 0",
            "slice(a, b?), as in {{ items | slice(0, 10) }}",
        ),
        ("{{ [1, 2 }}", (1, 9), "expected `,` or `]`", None),
        ("{{ [1,] }}", (1, 7), "expected a value, found ']'", None),
        ("{{ " + "[" * 20 + " }}", (1, 21), "expressions are nested deeper than 16", None),
        ("{{ secrets }}", (1, 4), "all secrets together cannot be used", "write `secrets.` and the name of one"),
        ("{{ secrets | json | slice(0, 5) }}", (1, 4), "all secrets together cannot be used", None),
        ("{{ secrets | keys }}", (1, 4), "all secrets together cannot be used", None),
        ("{{ secrets[0] }}", (1, 4), "all secrets together cannot be used", None),
        ("{{ 'x' | default(secrets) }}", (1, 18), "all secrets together cannot be used", None),
        ("{{ days_ago(secrets) }}", (1, 13), "all secrets together cannot be used", None),
        ("{{ [secrets.a] }}", (1, 4), "an expression with a secret can contain only the secret", None),
        ("{{ days_ago(3 }}", (1, 14), "expected `,` or `)`", None),
        ("{{ a.upper() }}", (1, 11), "expected the end, found '('", None),
        ("{{ 1x }}", (1, 4), "unexpected '1'", None),
        ("{{ 1e999 }}", (1, 4), "the number is too large", None),
        ("{{ " + "9" * 5000 + " }}", (1, 4), "the number has too many digits", None),
        ("{{ a | upper(1) }}", (1, 8), "`upper` takes no arguments, not 1", None),
        ('{{ items | filter("x", "y", 1) }}', (1, 12), "`filter`: unknown operator 'y'", None),
        ('{{ "x" | hash(secrets.a) }}', (1, 10), "`hash`: it cannot take a secret here", None),
        ('{{ "x" | hash("md5" | default(secrets.a)) }}', (1, 10), "`hash`: it cannot take a secret here", None),
        ("{{ secrets.a | at(secrets.b) }}", (1, 16), "`at`: it cannot take a secret here", None),
        ('{{ "" | date("%d", secrets.b | trim) }}', (1, 9), "`date`: it cannot take a secret here", None),
        ("{{ '[]' | parse | chunk(secrets.b) }}", (1, 19), "`chunk`: it cannot take a secret here", None),
        ("{{ secrets.a | default(n) }}", (1, 16), "an expression with a secret can contain only the secret", None),
        ("{{ upper }}{{ now }}{{ x | now }}", (1, 28), "unknown pipe `now`", None),
    ],
    ids=lambda part: str(part)[:30],
)
def test_a_syntax_error_has_a_position_and_a_hint(
    template: str, place: tuple[int, int], message: str, hint: str | None
) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template(template)

    assert (caught.value.line, caught.value.column) == place
    assert caught.value.message.startswith(message)
    assert hint is None or caught.value.hint == hint
    assert str(caught.value).startswith(f"{place[0]}:{place[1]}: ")


@pytest.mark.parametrize(
    ("template", "place", "message", "hint"),
    [
        ("{{ input.nmae }}", (1, 4), "`input.nmae` is missing", "did you mean `input.name`?"),
        ("a\nb {{ inptu.name }}", (2, 6), "`inptu` is missing", "did you mean `input`?"),
        ("{{ input.zzz }}", (1, 4), "`input.zzz` is missing", "mark it with `?` if it is optional"),
        ("{{ input.name.first }}", (1, 4), "`input.name.first` is missing", "mark it with `?` if it is optional"),
        ("{{ input.list[3] }}", (1, 4), "`input.list.3` is missing", "mark it with `?` if it is optional"),
        ("{{ input.name | replace(a, b?) }}", (1, 25), "`a` is missing", "mark it with `?` if it is optional"),
        ("{{ is_overdue(input.due) }}", (1, 15), "`input.due` is missing", "mark it with `?` if it is optional"),
        ("x {{ days_ago(input.name) }}", (1, 6), "days_ago() takes a number of days", None),
        ("{{ n | default(days_from_now(true)) }}", (1, 16), "days_from_now() takes a number of days", None),
    ],
)
def test_strict_reports_the_missing_path_its_position_and_the_closest_name(
    template: str, place: tuple[int, int], message: str, hint: str | None
) -> None:
    with pytest.raises(EvaluationError) as caught:
        render(template, {"input": {"name": "Ann", "list": [1]}}, strict=True)

    assert (caught.value.line, caught.value.column) == place
    assert caught.value.message.startswith(message)
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize(
    "template", ["{{ a.b? }}", "{{ a.b | default(null) }}", "{{ a.b | trim | default(null) }}", "{{ a.c }}"]
)
def test_strict_accepts_a_path_that_exists_is_marked_or_has_a_default(template: str) -> None:
    assert render(template, {"a": {"c": None}}, strict=True) is None


def test_only_a_path_that_leads_to_nothing_is_missing() -> None:
    given = env({"a": {"b": None}})

    assert compile_expression("a.b").find(given) is None
    assert compile_expression("a.c").find(given) is MISSING
    assert compile_template("{{ a.c }}").find(given) is MISSING
    assert compile_template("{{ a.c | trim }}").find(given) is None
    assert compile_template("<{{ a.c }}>").find(given) == "<>"


def test_the_names_that_a_value_reads_have_their_positions() -> None:
    names = compile_value({"k": "x {{ a.b[0] }}\n{{ c? }}", "{{ d | default(e) }}": []}).names

    assert sorted((name.root, name.path, name.optional, name.line, name.column) for name in names) == [
        ("a", ("b", 0), False, 1, 6),
        ("c", (), True, 2, 4),
        ("d", (), True, 1, 4),
        ("e", (), False, 1, 16),
    ]


def test_every_string_is_walked_with_its_pointer() -> None:
    value = {"a/b": ["x", {"c~d": "y"}], "{{ k }}": 1}

    assert list(walk(value, "/config")) == [
        ("/config/a~1b/0", "x"),
        ("/config/a~1b/1/c~0d", "y"),
        ("/config/{{ k }}", "{{ k }}"),
    ]


def test_rendering_does_not_change_template_or_context() -> None:
    template = {"{{ text }}": ["{{ items | sort }}", "{{ items | unique }}", "{{ a }}"]}
    before = copy.deepcopy((template, CONTEXT))
    first = render(template, CONTEXT)

    assert render(template, CONTEXT) == first
    assert (template, CONTEXT) == before


DEEP: Any = "{{ n }}"
for _ in range(MAX_NESTING + 1):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("x" * (MAX_TEMPLATE_LENGTH + 1), "longer than"),
        (DEEP, "nested deeper than"),
        ("{{ " + "days_ago(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1) + " }}", "nested deeper than 16"),
        ("{{ n" + " | string" * (MAX_PARTS + 1) + " }}", "functions, pipes and operators in one expression"),
    ],
    ids=["length", "nesting", "depth", "parts"],
)
def test_a_template_over_a_limit_is_an_error(template: Any, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message):
        render(template, CONTEXT)


@pytest.mark.parametrize(
    "template",
    [
        "x" * MAX_TEMPLATE_LENGTH,
        DEEP[0],
        "{{ " + "start_of_day(" * MAX_DEPTH + "now()" + ")" * MAX_DEPTH + " }}",
        "{{ n" + " | string" * MAX_PARTS + " }}",
    ],
    ids=["length", "nesting", "depth", "parts"],
)
def test_a_template_at_a_limit_is_accepted(template: Any) -> None:
    assert render(template, CONTEXT) is not None


def test_a_text_over_its_limit_is_an_error() -> None:
    context = {"s": "x" * (MAX_TEXT_LENGTH // 2)}

    assert len(render("{{ s }}{{ s }}", context)) == MAX_TEXT_LENGTH
    with pytest.raises(EvaluationError, match="longer than"):
        render("{{ s }}{{ s }}!", context)


def test_secrets_are_deferred_to_the_action() -> None:
    value = {
        "url": "https://{{ host }}/",
        "token": "{{ secrets.token }}",
        "headers": [{"a/b": "Bearer {{ secrets.token | trim }} of {{ host }}"}],
    }
    parameters, deferred = render_parameters(value, env({"host": "h", "secrets": {"token": "never here"}}))

    assert parameters == {"url": "https://h/", "token": None, "headers": [{"a/b": None}]}
    assert deferred == {
        "/token": [{"secret": "token"}],
        "/headers/0/a~1b": ["Bearer ", {"expression": "secrets.token | trim"}, " of ", "h"],
    }
    assert reveal(parameters, deferred, default_env({"secrets": {"token": " t "}}, strict=True)) == {
        "url": "https://h/",
        "token": " t ",
        "headers": [{"a/b": "Bearer t of h"}],
    }
    assert parameters["token"] is None


@pytest.mark.parametrize("key", ["", "a/", "/", "~", "~1", "0", "a/b~c"])
def test_a_secret_is_inserted_under_any_key(key: str) -> None:
    parameters, deferred = render_parameters({"x": [{key: "{{ secrets.s }}", "y": 1}]}, env({}))

    assert reveal(parameters, deferred, default_env({"secrets": {"s": "z"}}, strict=True)) == {
        "x": [{key: "z", "y": 1}]
    }


def test_a_parameter_that_is_only_a_secret_is_revealed() -> None:
    parameters, deferred = render_parameters("{{ secrets.all }}", env({}))

    env_with_secret = default_env({"secrets": {"all": {"k": 1}}}, strict=True)

    assert (parameters, reveal(parameters, deferred, env_with_secret)) == (None, {"k": 1})


@pytest.mark.parametrize("pointer", ["/1", "/x", "/0/y", "/-1"])
def test_a_secret_for_a_missing_parameter_is_an_error(pointer: str) -> None:
    with pytest.raises(EvaluationError, match="to hold a secret"):
        reveal(["text"], {pointer: ["v"]}, default_env({"secrets": {}}, strict=True))


def test_a_part_of_a_secret_in_parentheses_is_a_part_of_that_secret() -> None:
    # The parts in the parentheses were dropped: this read the secret `b`.
    parameters, deferred = render_parameters("{{ (secrets.a).b }}", env({}))
    env_with_secrets = default_env({"secrets": {"a": {"b": "part"}, "b": "another secret"}}, strict=True)

    assert find_secret_names(deferred) == ["a"]
    assert reveal(parameters, deferred, env_with_secrets) == "part"


@pytest.mark.parametrize("part", [{"expression": "'[\"a\"]' | parse | filter('', 'matches', secrets.key)"}])
def test_an_error_over_a_secret_shows_nothing_of_it(part: dict[str, str]) -> None:
    # The part of a secret that an error quotes is not known to what redacts the whole secret.
    with pytest.raises(EvaluationError) as caught:
        reveal([None], {"/0": [part]}, default_env({"secrets": {"key": "hidden(" * 20}}, strict=True))

    assert caught.value.message == "a pipe cannot take this secret"


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"there is no secret 'api\.key'"):
        reveal([None], {"/0": [{"expression": "secrets.api.key"}]}, default_env({"secrets": {"api": {}}}, strict=True))
    with pytest.raises(EvaluationError, match="in the parameters of actions only"):
        render("{{ secrets.key }}", {})


def test_warnings_are_unique_and_limited() -> None:
    warnings = Warnings(limit=3)
    render(
        ["{{ 1 | default(2) | keys }}", "{{ 1 | keys }}", *(f"{{{{ 1 | {p} }}}}" for p in ("first", "join"))],
        {},
        warnings=warnings,
    )

    assert warnings.messages == [
        "`keys` takes an object; the value (a number) is left unchanged",
        "`first` takes text or a list; the value (a number) is left unchanged",
        "`join` takes a list; the value (a number) is left unchanged",
    ]


def test_the_tables_have_the_names_of_the_contract() -> None:
    functions = (
        "now today timestamp uuid days_ago days_from_now start_of_day end_of_day start_of_week start_of_month "
        "is_overdue days_until days_since approval_link"
    )
    pipes = (
        "upper lower title trim length first last sum min max join keys values json default currency date datetime "
        "round replace split slice sort unique number string bool map filter count entries chunk parse at hash base64"
    )

    assert sorted(FUNCTIONS) == sorted(functions.split())
    assert sorted(PIPES) == sorted(pipes.split())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ [] }}", []),
        ("{{ items | default([]) }}", []),
        ('{{ [1, "a", null, [true], n, n | string] }}', [1, "a", None, [True], 5, "5"]),
        ("{{ [1, 2] | sum }} of {{ [n] }}", "3 of [5]"),
        ("{{ [n?, missing?] }}", [5, None]),
    ],
)
def test_a_list_can_be_written_in_an_expression(template: str, expected: Any) -> None:
    assert render(template, {"n": 5}, strict="?" in template) == expected


def test_a_list_literal_is_a_new_list_each_time() -> None:
    template = compile_template("{{ [1] }}")
    first, second = (template.render(default_env({})) for _ in range(2))

    assert first == second
    assert first is not second


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("plain", []),
        ("Dear {{ customer.name | title }}", ["customer.name"]),
        ("{{ items[0].x }} {{ a['odd key'] }} {{ items.0 }}", ["items[0].x", 'a["odd key"]', "items.0"]),
        ("{{ now() }} {{ days_until(due) }} {{ 'text' }} {{ [a, 1] }}", ["due", "a"]),
        ({"{{ key }}": ["{{ b }}", {"c": "{{ b }}{{ d | default(e) }}"}]}, ["key", "b", "d", "e"]),
    ],
)  # fmt: skip
def test_the_variables_of_a_template_are_listed(template: Any, names: list[str]) -> None:
    assert extract_variables(template) == names


def test_variables_that_are_null_or_missing_are_listed() -> None:
    template = "{{ a }} {{ b | upper }} {{ c.d }} {{ e[1] }} {{ secrets.key }} {{ f }}"

    assert validate_variables(template, {"a": 0, "b": None, "c": {}, "e": [1], "f": ""}) == ["b", "c.d", "e[1]"]


def test_secrets_in_a_long_list_are_inserted_in_linear_time() -> None:
    # Copying the list for each of its secrets took 14 s.
    count = 55_000
    secrets = {f"/list/{index}": [{"secret": "s"}] for index in range(count)}
    parameters = {"list": [None] * count}
    started = time.process_time()

    assert reveal(parameters, secrets, default_env({"secrets": {"s": "z"}}, strict=True)) == {"list": ["z"] * count}
    assert time.process_time() - started < 4
    assert parameters == {"list": [None] * count}
