"""Word pydantic's validation errors for people: `must be a whole number, not text`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.suggestions import did_you_mean

EXPECTED_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
    "date_type": "a date",
    "date_from_datetime_inexact": "a date without a time",
    "datetime_type": "a date and time",
    "url_type": "a URL",
}
"""Errors about the JSON type of a value."""
EXPECTED_FORMATS = {
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "datetime_parsing": "a time such as 2026-01-31T08:00:00Z",
    "datetime_from_date_parsing": "a time such as 2026-01-31T08:00:00Z",
    "timezone_aware": "a time with its offset, such as 2026-01-31T08:00:00Z",
    "url_parsing": "a URL",
    "uuid_parsing": "a UUID",
    "ip_any_network": "a network such as 10.1.0.0/16",
}
"""Errors about how a text is written."""
LIMITS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda limits: f"must be greater than {limits['gt']}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']}",
    "less_than": lambda limits: f"must be less than {limits['lt']}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']}",
    "multiple_of": lambda limits: f"must be a multiple of {limits['multiple_of']}",
    "string_too_short": lambda limits: _require_size(limits["min_length"], "at least", "character"),
    "string_too_long": lambda limits: _require_size(limits["max_length"], "at most", "character"),
    "too_short": lambda limits: _require_size(limits["min_length"], "at least", "item"),
    "too_long": lambda limits: _require_size(limits["max_length"], "at most", "item"),
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "enum": lambda limits: f"must be {limits['expected']}",
    "union_tag_invalid": lambda limits: f"must be one of {limits['expected_tags']}",
    "url_scheme": lambda limits: f"must be a URL that begins with {limits['expected_schemes']}",
    "value_error": lambda limits: str(limits["error"]),
    "assertion_error": lambda limits: str(limits["error"]),
}
"""Errors that carry a limit or a message in their context."""
FIXED = {
    "missing": "is required",
    "union_tag_not_found": "is required",
    "extra_forbidden": "is not a known field",
    "string_pattern_mismatch": "contains characters that are not allowed",
}
CHOICE = re.compile(r"'([^']*)'")


def describe_validation_error(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a value; `error` is one entry of `ValidationError.errors()`, with its context."""
    kind = error["type"]
    if kind in EXPECTED_TYPES:
        actual = f", not {describe_type(error['input'])}" if "input" in error else ""
        return f"must be {EXPECTED_TYPES[kind]}{actual}"
    if kind in EXPECTED_FORMATS:
        return f"must be {EXPECTED_FORMATS[kind]}"
    if kind in LIMITS and "ctx" in error:
        return LIMITS[kind](error["ctx"])
    return FIXED.get(kind, str(error["msg"]))


def suggest_choice(error: Mapping[str, Any]) -> str | None:
    """Return a hint for a value that is not one of a fixed set of texts."""
    expected = error.get("ctx", {}).get("expected", "") if error["type"] in ("literal_error", "enum") else ""
    return did_you_mean(error.get("input"), CHOICE.findall(expected))


def suggest_pipe(error: Mapping[str, Any]) -> str | None:
    """Return a hint with the pipe that turns the value of a template into the expected type."""
    match error["type"], error.get("input", ...):
        case "string_type", dict() | list():
            return "to pass an object or a list as text, use `| json`"
        case "list_type", dict():
            return "to pass the values of an object as a list, use `| values`"
        case "list_type", None:
            return "for a list that may be missing, use `| default([])`"
        case _:
            return None


def _require_size(count: int, bound: str, unit: str) -> str:
    if (count, bound) == (1, "at least"):
        return "must not be empty"
    return f"must have {bound} {count} {unit}{'' if count == 1 else 's'}"
