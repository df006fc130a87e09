"""Hold values from outside to one rule: at most 200 levels, valid Unicode, and the numbers of JSON (SPEC §3).

For what actions answer and templates build. Replay-sensitive: no I/O, and the same result for the same value.
"""

import json
import re
from typing import Any

MAX_DEPTH = 200
"""Levels of nesting. pydantic serializes at most 255, and a run document wraps each value."""
TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"
SURROGATES_REPLACED = "text contained half of a surrogate pair: it was replaced by U+FFFD"


class NotJson(ValueError):
    """The value cannot be written as JSON, or it is nested too deeply."""


def normalize_json(value: Any) -> tuple[Any, bool]:
    """Return the value without lone surrogates, and whether it had any; keys become text; raises NotJson."""
    has_surrogates = False
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except UnicodeEncodeError:
        has_surrogates = True
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from None
    if is_deeper(value, MAX_DEPTH):
        raise NotJson(TOO_DEEP)
    # Temporal's converter sorts keys, and an action whose result it refuses is called again.
    if has_other_keys(value):
        value = json.loads(text)
    return (replace_surrogates(value), True) if has_surrogates else (value, False)


def is_deeper(value: Any, limit: int) -> bool:
    """Return whether lists and objects are nested deeper than the limit; without recursion."""
    level = [value]
    for _ in range(limit):
        level = [
            part
            for each in level
            if isinstance(each, dict | list | tuple)
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list | tuple)
        ]
    return bool(level)


def has_other_keys(value: Any) -> bool:
    """Return whether an object has a key that is not text."""
    if isinstance(value, dict):
        return any(not isinstance(key, str) or has_other_keys(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(has_other_keys, value))


def replace_surrogates(value: Any) -> Any:
    """Return the value with U+FFFD for each lone surrogate, in keys too."""
    match value:
        case str():
            return SURROGATE.sub(REPLACEMENT, value)
        case dict():
            return {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
        case list() | tuple():
            return [replace_surrogates(item) for item in value]
    return value
