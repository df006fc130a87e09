"""Check values against JSON Schema (2020-12): the one importer of jsonschema. Replay-sensitive.

Patterns are RE2, so no value can make them run away; references stay inside the schema.
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
from orchestrator.jsontools.text import shorten

MAX_PROBLEMS = 50
MAX_MESSAGE = 300


@lru_cache(512)
def compile_pattern(pattern: str) -> Any:
    """Compile a pattern once; raises `re2.error`."""
    return re2.compile(pattern)


def _check_pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and compile_pattern(pattern).search(instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


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
            yield ValidationError(f"{key!r} is not among the properties allowed", path=[key])
        elif isinstance(additional, dict):
            yield from validator.descend(value, additional, path=key)


# The library's own three would run patterns through `re`, which can take time without end.
_Validator: Any = extend(  # type: ignore[no-untyped-call]  # the library has no types
    Draft202012Validator,
    {
        "pattern": _check_pattern,
        "patternProperties": _check_pattern_properties,
        "additionalProperties": _check_additional_properties,
    },
)


def find_problems(schema: dict[str, Any] | bool, value: Any) -> list[Problem]:
    """Say all that is wrong with a value; paths point into the value."""
    validator = _Validator(schema, registry=Registry())
    problems: list[Problem] = []
    try:
        for error in validator.iter_errors(value):
            if len(problems) >= MAX_PROBLEMS:
                break
            problems.append(_make_problem("schema_mismatch", format_pointer(error.absolute_path), error.message))
    except RecursionError:
        problems.append(_make_problem("schema_mismatch", "", "the value or its schema is nested without end"))
    except Unresolvable as error:
        problems.append(_make_problem("bad_schema", "", f"the schema refers to {error.ref!r}, which is not in it"))
    except re2.error as error:
        problems.append(_make_problem("bad_schema", "", f"the schema holds a pattern that cannot be read: {error}"))
    return problems


def find_schema_problems(schema: Any, path: str) -> list[Problem]:
    """Say what is wrong with a schema itself; `path` is where it stands."""
    try:
        Draft202012Validator.check_schema(schema)
        wrong = list(_find_bad_patterns(schema, path))
    except SchemaError as error:
        wrong = [_make_problem("bad_schema", path + format_pointer(error.absolute_path), error.message)]
    except RecursionError:
        wrong = [_make_problem("bad_schema", path, "the schema is nested without end")]
    return wrong or [
        _make_problem("bad_schema", path, f"the schema refers to {reference!r}, which is not in it")
        for reference in _find_references(schema)
        if not reference.startswith("#")
    ]


def _find_bad_patterns(schema: Any, path: str) -> Iterator[Problem]:
    """Find patterns that RE2 does not read."""
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
                yield _make_problem("bad_pattern", path, f"the pattern {pattern!r} cannot be read: {error}")
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


def _make_problem(code: ProblemCode, path: str, message: str) -> Problem:
    return Problem("error", code, path, shorten(message, MAX_MESSAGE))
