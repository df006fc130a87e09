"""JSON Schemas: what is refused because checks against it would be unbounded, and which formats are checked."""

import time
from typing import Any

import pytest

from orchestrator.jsontools.schema import find_problems, find_schema_problems
from orchestrator.jsontools.schema_limits import MAX_SIZE


def make_doubling(levels: int) -> dict[str, Any]:
    """Return a schema in which each definition names the next one twice: `2 ** levels` schemas."""
    pairs = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}, {"$ref": f"#/$defs/d{level + 1}"}]}
        for level in range(levels)
    }
    return {"$defs": {**pairs, f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


def test_references_are_counted_as_what_they_lead_to() -> None:
    # 1.6 kB of it froze the service for everyone who could call `validate`.
    assert find_schema_problems(make_doubling(6), "/s") == []
    (problem,) = find_schema_problems(make_doubling(30), "/s")

    assert (problem.code, problem.path, problem.severity) == ("large_schema", "/s", "error")
    assert "once its `$ref`s are expanded" in problem.message


@pytest.mark.parametrize(
    ("schema", "code", "message"),
    [
        ({"enum": list(range(MAX_SIZE))}, "large_schema", "more than 4,000 values"),
        ({"$ref": "#"}, "bad_schema", "cannot be recursive"),
        ({"properties": {"child": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}},
         "bad_schema", "cannot be recursive"),
        ({"$ref": "#/$defs/gone"}, "bad_schema", "does not lead to a schema inside this one"),
        ({"$ref": "https://example.org/s"}, "bad_schema", "does not lead to a schema inside this one"),
        ({"$dynamicRef": "#a"}, "bad_schema", "not supported"),
    ],
)  # fmt: skip
def test_a_schema_is_refused(schema: Any, code: str, message: str) -> None:
    (problem,) = find_schema_problems(schema, "/s")

    assert problem.code == code
    assert message in problem.message


@pytest.mark.parametrize(
    ("schema", "pointers"),
    [
        ({"uniqueItems": True}, ["/s"]),
        ({"properties": {"a": {"uniqueItems": True, "maxItems": 5000, "items": {"enum": [1]}}}}, ["/s/properties/a"]),
        ({"uniqueItems": True, "maxItems": 10, "items": {"type": "object"}}, ["/s"]),
        ({"uniqueItems": True, "maxItems": 1000, "items": {"type": ["string", "null"]}}, []),
        ({"uniqueItems": False}, []),
    ],
)  # fmt: skip
def test_unique_items_inside_workflows_are_few_and_scalar(schema: Any, pointers: list[str]) -> None:
    assert [problem.path for problem in find_schema_problems(schema, "/s", in_workflow=True)] == pointers
    assert find_schema_problems(schema, "/s") == []


def test_unique_items_compare_as_json() -> None:
    schema = {"uniqueItems": True}

    assert find_problems(schema, [1, True, "1", [1], {"a": 1, "b": 2}]) == []
    assert find_problems(schema, [1, 1.0]) != []
    assert find_problems(schema, [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]) != []


@pytest.mark.thorough
def test_the_check_of_one_value_is_bounded() -> None:
    # Compared with each other, these items took a minute. The limit is far from that and from the three seconds now.
    started = time.process_time()
    assert find_problems({"uniqueItems": True}, [{"a": index} for index in range(20_000)]) == []
    wide = {"items": {"anyOf": [{"const": index} for index in range(1_000)]}}
    (problem,) = find_problems(wide, [999] * 100_000)

    assert problem.message == "the value is too large to be checked against this schema"
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("date", ["2026-02-28"], ["2026-02-30", "20260228", "2026-2-3", "2026-02-28T00:00:00Z"]),
        ("date-time", ["2026-02-28T10:00:00Z", "2026-02-28t10:00:00.123+02:00"],
         ["2026-02-28", "2026-02-28T10:00:00", "2026-02-28 10:00:00Z", "2026-02-28T25:00:00Z"]),
        ("email", ["ada@example.org", "a.b+c@x"], ["ada", "ada@", "@example.org", "a b@example.org", "a@-x"]),
        ("uri", ["https://example.org/a?b=c#d", "urn:isbn:1", "mailto:a@b"], ["example.org", "/path", "https://a b"]),
        ("uuid", ["6f1c2e0a-9d3b-4c58-8a77-2b1f0e4d5c66"], ["6f1c2e0a9d3b4c588a772b1f0e4d5c66", "no"]),
        ("color", ["anything"], []),
    ],
)  # fmt: skip
def test_a_format_is_checked(name: str, valid: list[str], invalid: list[str]) -> None:
    assert [text for text in valid if find_problems({"format": name}, text)] == []
    assert [text for text in invalid if not find_problems({"format": name}, text)] == []
    assert find_problems({"format": name}, 5) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"pattern": "(a|bc|def){300}$"}}, ["abcdef" * 100] * 1_000),
        ({"patternProperties": {"(a|bc|def){300}$": {}}}, {f"{n}" + "abcdef" * 100: 1 for n in range(1_000)}),
        ({"patternProperties": {"(a|bc){300}$": {}}, "additionalProperties": True},
         {f"{n}" + "abcdef" * 100: 1 for n in range(1_000)}),
        ({"allOf": [{"format": "uri"}] * 1_000}, "a:" + "b" * 1_000_000),
    ],
    ids=["pattern", "patternProperties", "additionalProperties", "format"],
)  # fmt: skip
def test_patterns_and_formats_are_counted_by_the_text_they_read(schema: Any, value: Any) -> None:
    """One step for each, whatever it takes, is a workflow task that the deadlock detector stops."""
    started = time.process_time()
    problems = find_problems(schema, value)

    assert [problem.message for problem in problems] == ["the value is too large to be checked against this schema"]
    assert time.process_time() - started < 5


def test_a_pattern_of_usual_size_applies_to_long_texts() -> None:
    assert find_problems({"items": {"pattern": r"^[\w.+-]+@[\w.-]+$"}}, ["a" * 1_000 + "@b.c"] * 100) == []
