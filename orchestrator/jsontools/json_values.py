"""Hold values from outside to one rule: at most 200 levels, valid Unicode, and the numbers of JSON (SPEC §3).

For what actions answer and templates build. Replay-sensitive: no I/O, and the same result for the same value.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

SCALARS = frozenset({str, int, float, bool, type(None)})
"""Types to look up before an `isinstance`, which takes 3 times as long, and 30 times in the sandbox of tests."""
MAX_DEPTH = 200
"""Levels of nesting. pydantic serializes at most 255, and a run document wraps each value."""
TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"
SURROGATES_REPLACED = "text contained half of a surrogate pair: it was replaced by U+FFFD"


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class NotJson(ValueError):
    """The value cannot be written as JSON, or it is nested too deeply."""


def normalize_json(value: Any) -> tuple[Any, bool]:
    """Return the value without lone surrogates, and whether it had any; keys become text; raises NotJson."""
    has_surrogates = False
    try:
        text = _encode(value)
        text.encode()
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except UnicodeEncodeError:
        has_surrogates = True
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from None
    # Counting brackets is quick; they are also in texts.
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise NotJson(TOO_DEEP)
    # Temporal's converter sorts keys, and an action whose result it refuses is called again.
    if has_other_keys(value):
        value = json.loads(text)
    return (replace_surrogates(value), True) if has_surrogates else (value, False)


def is_deeper(value: Any, limit: int) -> bool:
    """Return whether lists and objects are nested deeper than the limit; without recursion."""
    level = [value]
    for _ in range(limit):
        if not level:
            return False
        level = [part for each in level if is_container(each) for part in list_parts(each) if type(part) not in SCALARS]
    return any(map(is_container, level))


def is_container(value: Any) -> bool:
    """Return whether a value is a list or an object."""
    kind = type(value)
    return kind is list or kind is dict or (kind not in SCALARS and isinstance(value, dict | list | tuple))


def list_parts(container: Any) -> Iterable[Any]:
    """Return the values of an object, or the items of a list."""
    parts: Iterable[Any] = container.values() if _is_object(container) else container
    return parts


def _is_object(container: Any) -> bool:
    kind = type(container)
    return kind is dict or (kind is not list and isinstance(container, dict))


def has_other_keys(value: Any) -> bool:
    """Return whether an object has a key that is not text; the value is not nested too deeply."""
    parts = [value]
    while parts:
        part = parts.pop()
        if _is_object(part):
            for key, item in part.items():
                if type(key) is not str:
                    return True
                if type(item) not in SCALARS:
                    parts.append(item)
        elif is_container(part):
            parts.extend(item for item in part if type(item) not in SCALARS)
    return False


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
