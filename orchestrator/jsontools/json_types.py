"""Name the type of a JSON value in the words of a message for people."""

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
