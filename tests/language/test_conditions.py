"""Conditions (SPEC §4): shapes, laziness, strict mode, evidence, problems."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.conditions import evaluate
from orchestrator.errors import ConditionError, EvaluationError
from orchestrator.language import MISSING, Env, condition_reader
from orchestrator.language.condition_reader import (
    build_evidence,
    compile_condition,
    find_problems,
)
from orchestrator.language.env import Warnings
from orchestrator.language.evidence import Comparison
from orchestrator.language.operators import OPERATORS

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def env(context: dict[str, Any], *, strict: bool = False) -> Env:
    return Env(context, lambda: NOW, lambda: "id", strict)


BIG = {"field": "amount", "operator": "greater_than", "value": 10}
OPEN = {"field": "status", "value": "open"}
CONTEXT = {"amount": 12, "status": "open", "limit": {"amount": 10}, "tags": ["a"], "zero": 0}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (OPEN, True),
        ({"field": "status", "operator": None, "value": "open"}, True),
        ({"field": "status", "operator": ""}, False),
        ({"type": "simple", **BIG}, True),
        ({"type": None, **BIG, "conditions": [], "condition": None, "preset": ""}, True),
        ({"type": "and", "conditions": [BIG, OPEN]}, True),
        ({"type": "and", "conditions": [BIG, {"type": "not", "condition": OPEN}]}, False),
        ({"type": "or", "conditions": [{"type": "not", "condition": OPEN}, BIG]}, True),
        ({"type": "or", "conditions": []}, False),
        ({"type": "and", "conditions": []}, True),
        ({"field": "amount", "operator": "greater_than", "value": "{{ limit.amount }}"}, True),
        ({"field": "status", "operator": "in", "value": ["closed", "{{ status }}"]}, True),
        ({"field": "limit", "value": {"amount": "{{ limit.amount }}"}}, True),
        ({"field": "{{ status | upper }}", "value": "OPEN"}, True),
        ({"field": "{{ status }}-{{ amount }}", "value": "open-12"}, True),
        ({"field": "tags[0]", "value": "a"}, True),
        ({"field": "tags.0", "value": "a"}, True),
        ({"field": "{{ tags.1 }}", "operator": "exists"}, False),
        ({"expression": "{{ tags }}"}, True),
        ({"expression": " {{ zero }} "}, False),
        ({"expression": "{{ nothing }}"}, False),
        ({"expression": '{{ "" }}'}, False),
        ({"expression": '{{ "false" }}'}, True),
        ({"expression": '{{ "false" | bool }}'}, False),
        ({"type": "expression", "expression": "{{ status }}"}, True),
    ],
)  # fmt: skip
def test_a_kind_of_condition_is_evaluated(condition: dict[str, Any], expected: bool) -> None:
    assert evaluate(condition, CONTEXT) is expected


def test_conditions_are_lazy_from_left_to_right() -> None:
    fails = {"expression": "{{ days_ago(input) }}"}
    never = {"field": "status", "value": "closed"}

    assert evaluate({"type": "or", "conditions": [OPEN, fails]}, CONTEXT) is True
    assert evaluate({"type": "and", "conditions": [never, fails]}, CONTEXT) is False
    with pytest.raises(EvaluationError, match="days_ago"):
        evaluate({"type": "and", "conditions": [OPEN, fails]}, CONTEXT)


def test_the_clock_is_that_of_the_caller() -> None:
    condition = {"field": "due", "operator": "before", "value": "{{ now() }}"}

    assert evaluate(condition, {"due": "2026-05-01T11:59:59Z"}, now=lambda: NOW) is True
    assert evaluate(condition, {"due": "2026-05-01T12:00:00Z"}, now=lambda: NOW) is False


def test_a_warning_names_the_field_the_operator_and_the_types() -> None:
    warnings = Warnings()
    evaluate({"field": "input.n", "operator": "less_than", "value": 3}, {"input": {"n": "many"}}, warnings=warnings)

    assert warnings.messages == [
        "`less_than` takes two numbers or two dates, but `input.n` is text and the value is a number"
    ]


@pytest.mark.parametrize("value", ["(", "a(?=b)", r"(a)\1", "a{1001}", "\ud800"])
def test_a_bad_pattern_from_the_data_is_a_condition_error(value: str) -> None:
    with pytest.raises(ConditionError, match="pattern"):
        evaluate({"field": "a", "operator": "matches", "value": "{{ b }}"}, {"a": "x", "b": value})


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "input.nope", "value": 1},
        {"field": "input.nope", "operator": "is_empty"},
        {"field": "input.nope", "operator": "not_in", "value": [1]},
        {"field": "{{ input.nope }}", "value": 1},
        {"field": "input.n", "value": "{{ input.nope }}"},
        {"expression": "{{ input.nope }}"},
    ],
)
def test_strict_rejects_a_missing_path(condition: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match=r"`input\.nope` is missing"):
        evaluate(condition, {"input": {"n": 1}}, strict=True)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "input.nope?", "value": None}, True),
        ({"field": "input.nope?", "operator": "is_not_empty"}, False),
        ({"field": "input.nope", "operator": "exists"}, False),
        ({"field": "input.nope", "operator": "not_exists"}, True),
        ({"field": "{{ input.nope }}", "operator": "exists"}, False),
        ({"field": "{{ input.nope | default(1) }}", "value": 1}, True),
        ({"field": "{{ input.nope | trim | default(1) }}", "value": 1}, True),
        ({"field": "input.null", "value": None}, True),
    ],
)
def test_strict_accepts_a_missing_path_that_is_marked(condition: dict[str, Any], expected: bool) -> None:
    assert evaluate(condition, {"input": {"n": 1, "null": None}}, strict=True) is expected


NESTED: dict[str, Any] = OPEN
for _ in range(condition_reader.MAX_DEPTH):
    NESTED = {"type": "not", "condition": NESTED}
MANY = {"type": "or", "conditions": [OPEN] * condition_reader.MAX_CONDITIONS}
STRUCTURE = "condition_structure"


@pytest.mark.parametrize(
    ("condition", "code", "path", "hint"),
    [
        (None, STRUCTURE, "", "write"),
        ("invoice_overdue", STRUCTURE, "", "write"),
        ([OPEN], STRUCTURE, "", "write"),
        ({}, STRUCTURE, "", "write"),
        ({"feild": "a", "value": 1}, STRUCTURE, "", "did you mean `field`?"),
        ({"type": "AND", "conditions": [OPEN]}, STRUCTURE, "/type", "did you mean `and`?"),
        ({"type": "adn", "conditions": [OPEN]}, STRUCTURE, "/type", "did you mean `and`?"),
        ({"type": 7}, STRUCTURE, "/type", "known"),
        ({"type": "and", "conditions": OPEN}, STRUCTURE, "/conditions", None),
        ({"type": "and"}, STRUCTURE, "/conditions", None),
        ({"type": "not"}, STRUCTURE, "/condition", "write"),
        ({"type": "and", "conditions": [{"type": "not", "condition": 3}]}, STRUCTURE, "/conditions/0/condition", ""),
        ({"type": "simple"}, STRUCTURE, "/field", "input.amount"),
        ({"field": "first name"}, "template_syntax", "/field", None),
        ({"field": "a", "value": {"b": ["{{ c"]}}, "template_syntax", "/value/b/0", "close it"),
        ({"field": "a", "value": {"{{ c": 1}}, "template_syntax", "/value/{{ c", "close it"),
        ({"field": "name | lower", "value": "x"}, STRUCTURE, "/field", "{{ … }}"),
        ({"field": "{{ name | lowr }}"}, "template_syntax", "/field", "did you mean `lower`?"),
        ({"field": "a", "operator": "equal"}, "unknown_operator", "/operator", "did you mean `equals`?"),
        ({"field": "a", "operator": "=="}, "unknown_operator", "/operator", "known operators: equals"),
        ({"field": "a", "operator": ["equals"]}, "unknown_operator", "/operator", "known"),
        ({"field": "a", "opertor": "is_empty"}, "unknown_key", "/opertor", "did you mean `operator`?"),
        ({**OPEN, "type": "simple", "conditions": [OPEN]}, "unknown_key", "/conditions", None),
        ({"field": "a", "operator": "in", "value": "b"}, "value_type", "/value", '["a", "b"]'),
        ({"field": "a", "operator": "greater_than", "value": "soon"}, "value_type", "/value", None),
        ({"field": "a", "operator": "greater_than", "value": True}, "value_type", "/value", None),
        ({"field": "a", "operator": "greater_than"}, "value_type", "/value", None),
        ({"field": "a", "operator": "before", "value": "tomorrow"}, "value_type", "/value", "ISO 8601"),
        ({"field": "a", "operator": "between", "value": [1, 9]}, "value_type", "/value", "for numbers use"),
        ({"field": "a", "operator": "between", "value": ["2026-01-01"]}, "value_type", "/value", "for numbers use"),
        ({"field": "a", "operator": "starts_with", "value": ["b"]}, "value_type", "/value", None),
        ({"field": "a", "operator": "length_equals", "value": "b"}, "value_type", "/value", None),
        ({"field": "a", "operator": "matches", "value": 1}, "value_type", "/value", None),
        ({"field": "a", "operator": "matches", "value": "a("}, "bad_pattern", "/value", "RE2"),
        ({"field": "a", "operator": "matches", "value": "(a{900}){900}"}, "bad_pattern", "/value", "RE2"),
        ({"field": "a", "operator": "matches", "value": "a" * 1001}, "bad_pattern", "/value", None),
        ({"field": "{{ a | upper }}", "operator": "exists"}, STRUCTURE, "/field", "input.name"),
        ({"preset": "invoice_overdu"}, "unknown_preset", "/preset", "did you mean `invoice_overdue`?"),
        ({"type": "preset"}, "unknown_preset", "/preset", "known"),
        ({"expression": "input.ready"}, STRUCTURE, "/expression", "{{"),
        ({"expression": "{{ a }}{{ b }}"}, STRUCTURE, "/expression", "{{"),
        ({"field": "secrets.key"}, "secret_in_condition", "/field", "action"),
        ({"field": "a", "value": "{{ secrets.key }}"}, "secret_in_condition", "/value", "action"),
        ({"expression": "{{ secrets.key }}"}, "secret_in_condition", "/expression", "action"),
        (NESTED, STRUCTURE, "/condition" * condition_reader.MAX_DEPTH, None),
        (MANY, STRUCTURE, f"/conditions/{condition_reader.MAX_CONDITIONS - 1}", None),
    ],
    ids=lambda part: str(part)[:40],
)  # fmt: skip
def test_a_mistake_is_one_problem_with_its_path_and_an_error_at_run_time(
    condition: Any, code: str, path: str, hint: str | None
) -> None:
    (problem,) = find_problems(condition, "/nodes/3/condition")

    assert (problem.severity, problem.code, problem.path) == ("error", code, f"/nodes/3/condition{path}")
    assert (hint or "") in (problem.hint or "")
    with pytest.raises(ConditionError) as caught:
        compile_condition(condition)
    assert (caught.value.message, caught.value.where) == (problem.message, path or None)


def test_all_problems_are_reported_at_once() -> None:
    wrong = {
        "type": "and",
        "conditions": [
            {"field": "a", "operator": "equal"},
            {"type": "or", "conditions": [{"preset": "x"}, {"field": "{{", "operator": "in", "value": 1}]},
        ],
    }

    assert [(problem.code, problem.path) for problem in find_problems(wrong, "")] == [
        ("unknown_operator", "/conditions/0/operator"),
        ("unknown_preset", "/conditions/1/conditions/0/preset"),
        ("template_syntax", "/conditions/1/conditions/1/field"),
        ("value_type", "/conditions/1/conditions/1/value"),
    ]


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"type": "and", "conditions": []}, STRUCTURE),
        ({**OPEN, "colour": "red"}, "unknown_key"),
        ({"field": "a", "operator": "is_empty", "value": True}, "value_type"),
    ],
)
def test_a_warning_does_not_stop_the_run(condition: dict[str, Any], code: str) -> None:
    assert [(problem.severity, problem.code) for problem in find_problems(condition, "")] == [("warning", code)]
    assert compile_condition(condition).evaluate(env({})) in (True, False)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_a_templated_value_is_not_checked_before_the_run(operator: str) -> None:
    assert find_problems({"field": "a", "operator": operator, "value": "{{ b }}"}, "") == []


def test_notes_for_people_are_allowed() -> None:
    assert find_problems({**OPEN, "id": "c1", "label": "Open", "description": "still open"}, "") == []


def test_a_condition_lists_the_names_it_reads() -> None:
    condition = compile_condition({
        "type": "and",
        "conditions": [
            {"field": "a.b", "value": "{{ c.d }}"},
            {"field": "e", "operator": "exists"},
            {"expression": "{{ f? }}"},
            {"preset": "payment_failed"},
        ],
    })  # fmt: skip

    assert sorted((name.root, name.path, name.optional) for name in condition.names) == [
        ("a", ("b",), False),
        ("c", ("d",), False),
        ("e", (), True),
        ("f", (), True),
        ("payment", ("status",), False),
    ]
    assert condition.uses_secrets is False


def test_a_decision_shows_what_was_compared() -> None:
    condition = compile_condition({
        "type": "and",
        "conditions": [
            {"field": "amount", "operator": "greater_than", "value": "{{ limit.amount }}"},
            {"expression": "{{ tags }}"},
            {"field": "nope", "operator": "in", "value": ["x"]},
            {"field": "status"},
        ],
    })  # fmt: skip
    holds, seen = condition.decide(env(CONTEXT))

    assert holds is False
    assert build_evidence(seen, "false") == {
        "port": "false",
        "compared": [
            {"field": "amount", "operator": "greater_than", "value": 10, "seen": 12, "result": True},
            {"field": "{{ tags }}", "seen": ["a"], "result": True},
            {"field": "nope", "operator": "in", "value": ["x"], "seen": None, "missing": True, "result": False},
        ],
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 500, "x" * 120 + "…"),
        (list(range(9)), "list of 9"),
        ([[1]], "list of 1"),
        ({"a": 1}, {"a": 1}),
        ({"a": {"b": 1}}, "object of 1"),
        (10**400, "a number of many digits"),
        (1.5, 1.5),
        (["y" * 130], ["y" * 120 + "…"]),
        (MISSING, None),
    ],
    ids=lambda part: str(part)[:20],
)
def test_a_large_value_is_truncated(value: Any, shown: Any) -> None:
    (entry,) = build_evidence([("f", "equals", None, value, True)], "true")["compared"]

    assert entry["seen"] == shown


@pytest.mark.parametrize("text", ["x" * 10_000, "é" * 10_000, "\ud800" * 10_000, '"' * 10_000])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_a_decision_is_at_most_a_kilobyte_and_keeps_the_last_comparison(text: str, count: int) -> None:
    seen: list[Comparison] = [
        (f"f{index}.{text}", "equals", [text] * 8, {text: text}, index == count - 1) for index in range(count)
    ]
    seen[-1] = ("last", "equals", text[:9], text[:9], True)
    shown = build_evidence(seen, text)

    assert len(json.dumps(shown)) <= 1000
    assert shown["compared"][-1]["field"] == "last"
    assert len(shown["compared"]) + shown.get("omitted", 0) == count
