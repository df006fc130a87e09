"""JSON Pointer (RFC 6901): write and read its escapes."""

from typing import Any


def format_pointer(parts: Any) -> str:
    """Write a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def escape(key: Any) -> str:
    """Write a key into a JSON Pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def split_pointer(pointer: str) -> list[str]:
    """Read the keys of a JSON Pointer."""
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
