"""What operators compare with: whether a literal is what an operator takes. Replay-sensitive."""

from collections.abc import Mapping
from typing import Any, assert_never

from orchestrator.language import compile_template, walk
from orchestrator.language.operators import Takes
from orchestrator.language.values import is_number, read_date, read_number

TAKES: Mapping[Takes, str] = {
    "any": "any value",
    "none": "no value",
    "list": "a list",
    "text": "text",
    "pattern": "an RE2 pattern",
    "order": "a number or a date",
    "date": "a date",
    "dates": "[from, to], two dates",
    "size": "a number",
}
"""How the kinds of value are called."""

HINTS: Mapping[Takes, str] = {
    "dates": "for numbers use greater_than_or_equals and less_than_or_equals",
    "date": "ISO 8601, as in 2026-01-31 or 2026-01-31T09:00:00Z",
    "list": '["a", "b"]',
}
"""What to write instead."""


def is_constant(value: Any) -> bool:
    """Tell whether a value has no templates in it; raises TemplateSyntaxError for a bad one."""
    return all(compile_template(text).is_constant for _, text in walk(value))


def fits(value: Any, takes: Takes) -> bool:
    """Tell whether a literal is what an operator takes; of a template nothing is known."""
    if takes == "any" or (isinstance(value, str) and not is_constant(value)):
        return True
    match takes:
        case "none":
            return not value
        case "list":
            return isinstance(value, list | tuple)
        case "pattern":
            return isinstance(value, str)
        case "text":
            return isinstance(value, str) or is_number(value)
        case "order":
            return read_number(value) is not None or read_date(value) is not None
        case "date":
            return read_date(value) is not None
        case "dates":
            return isinstance(value, list | tuple) and len(value) == 2 and all(fits(end, "date") for end in value)
        case "size":
            return read_number(value) is not None
        case _:
            assert_never(takes)
