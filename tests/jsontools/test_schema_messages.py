"""Schema errors are worded for people: no words of the library, and a hint for what looks misspelt."""

from typing import Any

import pytest

from orchestrator.jsontools.schema import find_problems, find_schema_problems


@pytest.mark.parametrize(
    ("schema", "value", "message", "hint"),
    [
        ({"type": "integer"}, "a", "must be a whole number, not text", None),
        ({"type": ["number", "null"]}, [], "must be a number or null, not a list", None),
        ({"type": "boolean"}, 1, "must be true or false, not a number", None),
        ({"required": ["id"]}, {}, "`id` is missing", None),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "`b` is missing; it is required where `a` is given", None),
        ({"enum": ["open", "closed"]}, "opne", 'must be one of "open", "closed"', "did you mean `open`?"),
        ({"enum": [1, None]}, "open", "must be one of 1, null", None),
        ({"const": {"a": 1}}, 1, 'must be {"a": 1}', None),
        ({"minimum": 2}, 1, "must be at least 2", None),
        ({"exclusiveMaximum": 2.5}, 3, "must be less than 2.5", None),
        ({"multipleOf": 5}, 3, "must be a multiple of 5", None),
        ({"minLength": 1}, "", "must not be empty", None),
        ({"maxLength": 2}, "abc", "must have at most 2 characters", None),
        ({"maxItems": 1}, [1, 2], "must have at most 1 item", None),
        ({"minProperties": 2}, {"a": 1}, "must have at least 2 keys", None),
        ({"uniqueItems": True}, [1, 1], "must not contain the same item twice", None),
        ({"pattern": "^a"}, "b", 'must match the pattern "^a"', None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "must be text or null, not a number", None),
        ({"anyOf": [{"required": ["a"]}, {"type": "null"}]}, {}, "`a` is missing", None),
        ({"anyOf": [{"minLength": 2}, {"pattern": "b"}]}, "a", "matches none of the schemas of `anyOf`", None),
        ({"oneOf": [{}, {"minLength": 1}]}, "a", "matches several schemas of `oneOf`", None),
        ({"not": {"type": "string"}}, "a", "matches a schema that `not` excludes", None),
        (False, 5, "5 is not allowed", None),
    ],
    ids=str,
)
def test_a_mismatch_is_described(schema: Any, value: Any, message: str, hint: str | None) -> None:
    (problem,) = find_problems(schema, value)

    assert (problem.code, problem.path, problem.message, problem.hint) == ("schema_mismatch", "", message, hint)


def test_an_unknown_key_is_named_by_its_path_with_the_closest_key_as_hint() -> None:
    schema = {"properties": {"amount": {}, "currency": {}}, "additionalProperties": False}
    problems = find_problems(schema, {"ammount": 1, "x": 2})

    assert [(problem.path, problem.message, problem.hint) for problem in problems] == [
        ("/ammount", "this key is not allowed", "did you mean `amount`?"),
        ("/x", "this key is not allowed", "allowed keys: amount, currency"),
    ]


@pytest.mark.parametrize(
    ("schema", "path", "message", "hint"),
    [
        ({"properties": {"a": {"type": "strng"}}}, "/properties/a/type", "must be one of ", "did you mean `string`?"),
        ({"required": "a"}, "/required", "must be a list, not text", None),
        ({"minLength": -1}, "/minLength", "must be at least 0", None),
        ({"pattern": "(?<=a)b"}, "", "invalid pattern '(?<=a)b'", None),
        ({"$ref": "https://example.org/s"}, "", "the reference 'https://example.org/s' does not lead to", None),
        (7, "", "must be an object or true or false, not a number", None),
    ],
    ids=str,
)
def test_a_bad_schema_is_described(schema: Any, path: str, message: str, hint: str | None) -> None:
    (problem,) = find_schema_problems(schema, "/settings/input_schema")

    assert problem.path == f"/settings/input_schema{path}"
    assert problem.message.startswith(message)
    assert problem.hint == hint
