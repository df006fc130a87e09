"""What a decision compared, cut to a bounded size."""

import json
from typing import Any

from orchestrator.language import MISSING

Seen = tuple[str, str, Any, Any, bool]
"""One comparison as it was made: field, operator, value, what was there (or `MISSING`), result."""


MAX_EVIDENCE = 1_000
"""Bytes that a decision may take, as JSON."""


MAX_SHOWN_TEXT = 120
"""Characters shown of a text."""


MAX_SHOWN_ITEMS = 8
"""A longer list or object is shown as its length."""


def evidence(seen: list[Seen], port: str) -> dict[str, Any]:
    """Show a decision, at most 1 kB as JSON: the port, and what was compared.

    `{"port", "compared": [{"field", "operator", "value", "seen", "result"}]}`; an expression has neither
    operator nor value, and a path to nothing has `"missing": true`. What does not fit is left out from the
    front, because the last comparison decided, and counted in `omitted`.
    """
    shown: dict[str, Any] = {"port": _shortened(port), "compared": []}
    left = MAX_EVIDENCE - _size(shown) - len(', "omitted": 1000')
    for index in range(len(seen) - 1, -1, -1):
        entry = _entry(*seen[index])
        left -= _size(entry) + 2
        if left < 0:
            shown["omitted"] = index + 1
            break
        shown["compared"].insert(0, entry)
    return shown


def _entry(field: str, operator: str, value: Any, seen: Any, result: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"field": _shortened(field)}
    if operator:
        entry |= {"operator": operator, "value": _shortened(value)}
    entry["seen"] = None if seen is MISSING else _shortened(seen)
    if seen is MISSING:
        entry["missing"] = True
    entry["result"] = result
    return entry


def _size(value: Any) -> int:
    return len(json.dumps(value))


def _shortened(value: Any) -> Any:
    """Keep scalars and small flat structures; say of what else there is how much."""
    if isinstance(value, list | tuple | dict):
        inner = value.values() if isinstance(value, dict) else value
        if len(value) <= MAX_SHOWN_ITEMS and not any(isinstance(item, list | tuple | dict) for item in inner):
            return (
                {_cut(key): _scalar(item) for key, item in value.items()}
                if isinstance(value, dict)
                else [_scalar(item) for item in value]
            )
        return f"{'object' if isinstance(value, dict) else 'list'} of {len(value)}"
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= 1024 else "a number of many digits"
    return _cut(value if isinstance(value, str) else type(value).__name__)


def _cut(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= MAX_SHOWN_TEXT else f"{shown[:MAX_SHOWN_TEXT]}…"
