"""Validate values against JSON Schema (2020-12). Only this module and its messages import jsonschema. Replay-sensitive.

Patterns are RE2, so they take linear time for any value. References must stay inside the schema.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from orchestrator.errors import Problem, ProblemCode
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.schema_messages import describe_schema_error, suggest_for_schema_error
from orchestrator.jsontools.text import shorten

MAX_PROBLEMS = 50
MAX_MESSAGE = 300


@lru_cache(512)
def compile_pattern(pattern: str) -> Any:
    """Compile a pattern once; raises `re2.error`."""
    return re2.compile(pattern)


def _check_pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and compile_pattern(pattern).search(instance) is None:
        yield ValidationError("does not match the pattern")


def _check_pattern_properties(
    validator: Any, patterns: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        matcher = compile_pattern(pattern)
        for key, value in instance.items():
            if matcher.search(key) is not None:
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _check_additional_properties(
    validator: Any, additional: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = [compile_pattern(pattern) for pattern in schema.get("patternProperties", {})]
    known = schema.get("properties", {})
    for key, value in instance.items():
        if key in known or any(pattern.search(key) is not None for pattern in patterns):
            continue
        if additional is False:
            yield ValidationError("this key is not allowed", path=[key])
        elif isinstance(additional, dict):
            yield from validator.descend(value, additional, path=key)


def _check_required(validator: Any, required: list[str], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for key in required:
            if key not in instance:
                yield ValidationError(f"`{key}` is missing")


def _check_dependent_required(
    validator: Any, dependent: dict[str, list[str]], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for key, required in dependent.items():
            for other in required if key in instance else ():
                if other not in instance:
                    yield ValidationError(f"`{other}` is missing; it is required where `{key}` is given")


# The library's own versions of the first three use `re`, whose patterns can take exponential time.
_Validator: Any = extend(  # type: ignore[no-untyped-call]  # the library has no types
    Draft202012Validator,
    {
        "pattern": _check_pattern,
        "patternProperties": _check_pattern_properties,
        "additionalProperties": _check_additional_properties,
        "required": _check_required,
        "dependentRequired": _check_dependent_required,
    },
)


def find_problems(schema: dict[str, Any] | bool, value: Any) -> list[Problem]:
    """Return everything wrong with a value; the paths point into the value."""
    validator = _Validator(schema, registry=Registry())
    problems: list[Problem] = []
    try:
        for error in validator.iter_errors(value):
            if len(problems) >= MAX_PROBLEMS:
                break
            problems.append(_describe("schema_mismatch", error, ""))
    except RecursionError:
        problems.append(_make_problem("schema_mismatch", "", "the value or its schema is nested too deeply"))
    except Unresolvable as error:
        problems.append(_make_problem("bad_schema", "", _describe_reference(error.ref)))
    except re2.error as error:
        problems.append(_make_problem("bad_schema", "", f"the schema has an invalid pattern: {error}"))
    return problems


def find_schema_problems(schema: Any, path: str) -> list[Problem]:
    """Return everything wrong with a schema; `path` is its JSON Pointer in the definition."""
    try:
        Draft202012Validator.check_schema(schema)
        wrong = list(_find_bad_patterns(schema, path))
    except SchemaError as error:
        wrong = [_describe("bad_schema", error, path)]
    except RecursionError:
        wrong = [_make_problem("bad_schema", path, "the schema is nested too deeply")]
    return wrong or [
        _make_problem("bad_schema", path, _describe_reference(reference))
        for reference in _find_references(schema)
        if not reference.startswith("#")
    ]


def _find_bad_patterns(schema: Any, path: str) -> Iterator[Problem]:
    """Return the patterns that RE2 does not accept."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from _find_bad_patterns(part, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    properties = schema.get("patternProperties")
    patterns = [schema.get("pattern"), *(properties if isinstance(properties, dict) else ())]
    for pattern in patterns:
        if isinstance(pattern, str):
            try:
                compile_pattern(pattern)
            except re2.error as error:
                yield _make_problem("bad_pattern", path, f"invalid pattern {pattern!r}: {error}")
    for key, part in schema.items():
        yield from _find_bad_patterns(part, path + format_pointer([key]))


def _find_references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _find_references(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            yield from _find_references(part)


def _describe_reference(reference: str) -> str:
    return f"the reference {reference!r} does not lead to a schema inside this one"


def _describe(code: ProblemCode, error: ValidationError | SchemaError, path: str) -> Problem:
    pointer = path + format_pointer(error.absolute_path)
    return _make_problem(code, pointer, describe_schema_error(error), suggest_for_schema_error(error))


def _make_problem(code: ProblemCode, path: str, message: str, hint: str | None = None) -> Problem:
    return Problem("error", code, path, shorten(message, MAX_MESSAGE), hint)
