"""Describe JSON values and their types in messages for people."""

from typing import Any

NAMES: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def describe_type(value: Any) -> str:
    """Return the JSON type of a value with its article: `a list`, `text`."""
    return NAMES.get(type(value), type(value).__name__)


def describe_value(value: Any) -> str:
    """Return a short description of a value: short text and numbers themselves, otherwise the type."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return repr(value)[:40]
    return describe_type(value)


def describe_unknown(noun: str, name: Any) -> str:
    """Describe a name that is not one of those known, or a value that is not a name at all."""
    if isinstance(name, str):
        return f"unknown {noun} {describe_value(name)}"
    return f"the {noun} must be text, not {describe_type(name)}"
