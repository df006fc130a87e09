"""The comparisons of a decision, truncated to a bounded size."""

import json
from typing import Any

from orchestrator.jsontools.text import shorten
from orchestrator.language import MISSING

Comparison = tuple[str, str, Any, Any, bool]
"""Field, operator, value, the value of the field (or `MISSING`), result."""


MAX_EVIDENCE = 1_000
"""Maximum size of a decision, in bytes of JSON."""


FEW_COMPARISONS = 4
"""They are likely to fit, and then measured once."""


MAX_SHOWN_TEXT = 120
"""Longer text is truncated to this number of characters."""


MAX_SHOWN_ITEMS = 8
"""Longer lists and objects are replaced by their length."""


def build_evidence(seen: list[Comparison], port: str) -> dict[str, Any]:
    """Return a decision as JSON of at most 1 kB: the port and the comparisons.

    `{"port", "compared": [{"field", "operator", "value", "seen", "result"}]}`. An expression has neither operator
    nor value; a missing field has `"missing": true`. The earliest comparisons are dropped if they do not fit, because
    the last one decided; `omitted` is their number.
    """
    document: dict[str, Any] = {"port": _shorten(port), "compared": []}
    if len(seen) <= FEW_COMPARISONS:
        whole = {**document, "compared": [_make_entry(*each) for each in seen]}
        if _measure(whole) + len(', "omitted": 1000, ') <= MAX_EVIDENCE:
            return whole
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
    """Keep scalars and small flat lists and objects; replace larger ones by their length."""
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
