"""What a decision compared, cut to a bounded size."""

import json
from typing import Any

from orchestrator.jsontools.text import shorten
from orchestrator.language import MISSING

Comparison = tuple[str, str, Any, Any, bool]
"""One comparison as it was made: field, operator, value, what was there (or `MISSING`), result."""


MAX_EVIDENCE = 1_000
"""Bytes that a decision may take, as JSON."""


MAX_SHOWN_TEXT = 120
"""Characters shown of a text."""


MAX_SHOWN_ITEMS = 8
"""A longer list or object is shown as its length."""


def build_evidence(seen: list[Comparison], port: str) -> dict[str, Any]:
    """Show a decision, at most 1 kB as JSON: the port, and what was compared.

    `{"port", "compared": [{"field", "operator", "value", "seen", "result"}]}`; an expression has neither
    operator nor value, and a path to nothing has `"missing": true`. What does not fit is left out from the
    front, because the last comparison decided, and counted in `omitted`.
    """
    document: dict[str, Any] = {"port": _shorten(port), "compared": []}
    left = MAX_EVIDENCE - _measure(document) - len(', "omitted": 1000')
    for index in range(len(seen) - 1, -1, -1):
        entry = _make_entry(*seen[index])
        left -= _measure(entry) + 2
        if left < 0:
            document["omitted"] = index + 1
            break
        document["compared"].insert(0, entry)
    return document


def _make_entry(field: str, operator: str, value: Any, seen: Any, result: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"field": _shorten(field)}
    if operator:
        entry |= {"operator": operator, "value": _shorten(value)}
    entry["seen"] = None if seen is MISSING else _shorten(seen)
    if seen is MISSING:
        entry["missing"] = True
    entry["result"] = result
    return entry


def _measure(value: Any) -> int:
    return len(json.dumps(value))


def _shorten(value: Any) -> Any:
    """Keep scalars and small flat structures; say of what else there is how much."""
    if isinstance(value, list | tuple | dict):
        inner = value.values() if isinstance(value, dict) else value
        if len(value) <= MAX_SHOWN_ITEMS and not any(isinstance(item, list | tuple | dict) for item in inner):
            return (
                {_cut_text(key): _shorten_scalar(item) for key, item in value.items()}
                if isinstance(value, dict)
                else [_shorten_scalar(item) for item in value]
            )
        return f"{'object' if isinstance(value, dict) else 'list'} of {len(value)}"
    return _shorten_scalar(value)


def _shorten_scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= 1024 else "a number of many digits"
    return _cut_text(value if isinstance(value, str) else type(value).__name__)


def _cut_text(text: Any) -> str:
    return shorten(str(text), MAX_SHOWN_TEXT)
