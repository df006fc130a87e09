"""Format JSON for people: what fits on a line stays on one. No I/O here."""

import json
from typing import Any

WIDTH = 120


def format_json_document(value: Any) -> str:
    """Return a JSON value as text that ends in a line break, nested at most 200 levels."""
    return _format(value, "", 0, top=True) + "\n"


def _format(value: Any, indent: str, used: int, *, top: bool = False) -> str:
    """Return a value whose first line begins after `used` characters."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (not top and used + len(line) < WIDTH):
        return line
    inner = f"{indent}  "
    if isinstance(value, list):
        parts = [_format(item, inner, len(inner)) for item in value]
    else:
        heads = [f"{json.dumps(key, ensure_ascii=False)}: " for key in value]
        parts = [
            head + _format(item, inner, len(inner) + len(head))
            for head, item in zip(heads, value.values(), strict=True)
        ]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    body = f",\n{inner}".join(parts)
    return f"{opening}\n{inner}{body}\n{indent}{closing}"
