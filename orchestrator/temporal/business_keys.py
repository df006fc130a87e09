"""The business keys of a run, as a search attribute: one value `name=value` for each. Replay-sensitive."""

import json
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 255
"""Of one value; Temporal's limit."""


def encode_key(name: str, value: Any) -> str | None:
    """Return a value of the attribute; `None` where it is too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    entry = f"{name}={text}"
    return entry if len(entry.encode("utf-8", "replace")) <= MAX_BYTES else None


def decode_keys(values: Sequence[str]) -> dict[str, str]:
    """Return the keys in the attribute."""
    return {name: value for name, _, value in (entry.partition("=") for entry in values)}
