"""JSON Pointer (RFC 6901): join, split and escape its keys."""

from collections.abc import Iterable
from typing import Any


def format_pointer(keys: Iterable[object]) -> str:
    """Return the pointer that leads through these keys and indexes."""
    return "".join(f"/{escape(key)}" for key in keys)


def escape(key: object) -> str:
    """Return one key as it is written in a pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def split_pointer(pointer: str) -> list[str]:
    """Return the keys of a pointer, without escapes."""
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


def find_value(document: Any, pointer: str) -> Any:
    """Return the value to which a pointer leads, or `None`."""
    value = document
    try:
        for key in split_pointer(pointer):
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (LookupError, TypeError, ValueError):
        return None
    return value
