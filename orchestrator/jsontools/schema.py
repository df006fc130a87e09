"""Validate values against JSON Schema (2020-12). Only this module and its messages import jsonschema. Replay-sensitive.

Patterns are RE2, so they take linear time for any value. References must stay inside the schema.
"""

import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from orchestrator.errors import Problem, ProblemCode
from orchestrator.jsontools import schema_limits
from orchestrator.jsontools.formats import matches_format
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.schema_messages import describe_schema_error, suggest_for_schema_error
from orchestrator.jsontools.text import shorten

MAX_PROBLEMS = 50
MAX_MESSAGE = 300
MAX_STEPS = 200_000
"""Keywords that the check of one value may apply: about 0.4 s."""
LARGE_HINT = "describe the parts that matter, or use `{}` for the rest"
CHARACTERS_PER_STEP = 100
"""Characters of JSON that cost as much as a keyword."""
PATTERN_WORK_PER_STEP = 1_600
"""Instructions of a pattern, times characters of the text, that cost as much as a keyword; as `costs` has it."""


@lru_cache(512)
def compile_pattern(pattern: str) -> Any:
    """Compile a pattern once; raises `re2.error`."""
    return re2.compile(pattern)


def _matches(pattern: str, text: str) -> bool:
    """Return whether a pattern is found in a text, and spend what the search takes."""
    compiled = compile_pattern(pattern)
    _spend(1 + compiled.programsize * len(text) // PATTERN_WORK_PER_STEP)
    return compiled.search(text) is not None


def _check_pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError("does not match the pattern")


def _check_pattern_properties(
    validator: Any, patterns: dict[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _check_additional_properties(
    validator: Any, additional: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    for key, value in instance.items():
        if key in known or any(_matches(pattern, key) for pattern in patterns):
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


def _check_format(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and isinstance(name, str):
        _spend(len(instance) // CHARACTERS_PER_STEP)
        if not matches_format(name, instance):
            yield ValidationError(f"is not a valid {name}")


def _check_unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not unique or not isinstance(instance, list):
        return
    seen: set[str] = set()
    for item in instance:
        key = json.dumps(_unify_numbers(item), sort_keys=True)
        _spend(len(key) // CHARACTERS_PER_STEP)
        if key in seen:
            yield ValidationError("has the same item twice")
            return
        seen.add(key)


def _unify_numbers(value: Any) -> Any:
    """Return a value in which 1 and 1.0, which are equal as JSON, are the same."""
    if isinstance(value, dict):
        return {key: _unify_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unify_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class TooMuchWork(Exception):
    """A check of a value takes more steps than its budget."""


_steps_left: ContextVar[int] = ContextVar("steps_left", default=0)


def _spend(steps: int) -> None:
    left = _steps_left.get() - steps
    _steps_left.set(left)
    if left < 0:
        raise TooMuchWork


def _count(check: Callable[..., Any]) -> Callable[..., Any]:
    """Return the check of a keyword that spends one step, and one for each of the keyword's own parts."""

    def spend_and_check(validator: Any, limit: Any, instance: Any, schema: Any) -> Any:
        _spend(1 + len(limit) if isinstance(limit, list | dict) else 1)
        return check(validator, limit, instance, schema)

    return spend_and_check


# The library's own versions of the first three use `re`, whose patterns can take exponential time, and its version of
# `uniqueItems` compares each item with each other.
_KEYWORDS = {
    **Draft202012Validator.VALIDATORS,
    "pattern": _check_pattern,
    "patternProperties": _check_pattern_properties,
    "additionalProperties": _check_additional_properties,
    "required": _check_required,
    "dependentRequired": _check_dependent_required,
    "uniqueItems": _check_unique_items,
    "format": _check_format,
}
_Validator: Any = extend(  # type: ignore[no-untyped-call]  # the library has no types
    Draft202012Validator, {name: _count(check) for name, check in _KEYWORDS.items()}
)


def find_problems(schema: dict[str, Any] | bool, value: Any) -> list[Problem]:
    """Return everything wrong with a value; the paths point into the value."""
    return measure_problems(schema, value)[0]


def measure_problems(schema: dict[str, Any] | bool, value: Any) -> tuple[list[Problem], int]:
    """Return everything wrong with a value, and the steps that the check took, at most about `MAX_STEPS`."""
    validator = _Validator(schema, registry=Registry())
    problems: list[Problem] = []
    _steps_left.set(MAX_STEPS)
    try:
        for error in validator.iter_errors(value):
            if len(problems) >= MAX_PROBLEMS:
                break
            problems.append(_describe("schema_mismatch", error, ""))
    except TooMuchWork:
        message = "the value is too large to be checked against this schema"
        problems = [_make_problem("schema_mismatch", "", message, "use a smaller value or a simpler schema")]
    except RecursionError:
        problems.append(_make_problem("schema_mismatch", "", "the value or its schema is nested too deeply"))
    except Unresolvable as error:
        problems.append(_make_problem("bad_schema", "", _describe_reference(error.ref)))
    except re2.error as error:
        problems.append(_make_problem("bad_schema", "", f"the schema has an invalid pattern: {error}"))
    return problems, MAX_STEPS - max(_steps_left.get(), 0)


def find_schema_problems(schema: Any, path: str, *, in_workflow: bool = False) -> list[Problem]:
    """Return everything wrong with a schema; `path` is its JSON Pointer in the definition.

    A schema that runs inside workflow code (`in_workflow`) may compare fewer items for `uniqueItems`.
    """
    large = schema_limits.find_large(schema)
    if large is not None:
        return [_make_problem("large_schema", path, large, LARGE_HINT)]
    try:
        Draft202012Validator.check_schema(schema)
        problems = list(_find_bad_patterns(schema, path))
        expansion = schema_limits.find_expansion(schema)
    except SchemaError as error:
        return [_describe("bad_schema", error, path)]
    except RecursionError:
        return [_make_problem("bad_schema", path, "the schema is nested too deeply")]
    if expansion is not None:
        code: ProblemCode = "large_schema" if "more than" in expansion else "bad_schema"
        problems.append(_make_problem(code, path, expansion))
    for at, hint in schema_limits.find_costly_uniqueness(schema, path) if in_workflow else ():
        message = "`uniqueItems` takes too much work inside a workflow"
        problems.append(_make_problem("large_schema", at, message, hint))
    return problems


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


def _describe_reference(reference: str) -> str:
    return f"the reference {reference!r} does not lead to a schema inside this one"


def _describe(code: ProblemCode, error: ValidationError | SchemaError, path: str) -> Problem:
    pointer = path + format_pointer(error.absolute_path)
    return _make_problem(code, pointer, describe_schema_error(error), suggest_for_schema_error(error))


def _make_problem(code: ProblemCode, path: str, message: str, hint: str | None = None) -> Problem:
    return Problem("error", code, path, shorten(message, MAX_MESSAGE), hint)
