"""Parse and format single values: text, numbers, dates. Shared by pipes, functions and conditions.

Replay-sensitive: no clock.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_values import MAX_DEPTH, SCALARS, is_container, list_parts
from orchestrator.language.costs import COMPARED_CHARACTERS, JSON_CHARACTER, NESTED_ITEM

MAX_TEXT_LENGTH = 1_048_576
"""Characters that one template or pipe may produce."""
MAX_NUMBER_LENGTH = 5_000
"""Characters of a text that may be a number: Python refuses more than 4,300 digits, but only after reading them all."""
MAX_DATE_LENGTH = 64
MAX_NUMBER = sys.float_info.max
"""JSON has neither infinity nor NaN, and other programs read a number beyond the largest float as infinity."""
MISSING: Any = object()
"""The value of a path that leads to nothing."""
Spend = Callable[[int], None]
"""Counts a cost, and raises EvaluationError when there is no budget left; see `Env.spend`."""


@dataclass(slots=True)
class CannotTake(Exception):
    """A pipe or an operator cannot handle its value."""

    reason: str
    """What it takes instead."""
    hint: str | None = None


def to_text(value: Any, spend: Spend) -> str:
    """Return a value as part of longer text: null is empty, lists and objects are JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return to_json_text(value, spend)
    return require_bounded(number_to_text(value))


def number_to_text(value: Any) -> str:
    """Return a number as text; raises EvaluationError if it has too many digits."""
    try:
        return str(value)
    except ValueError:
        raise EvaluationError("the number has too many digits to be formatted") from None


def to_json_text(value: Any, spend: Spend) -> str:
    """Return JSON on one line, with the keys in their order and all characters as they are."""
    _require_short_json(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        raise EvaluationError(
            "the value cannot be formatted as JSON: it is nested too deeply, or a number has too many digits"
        ) from None
    spend(JSON_CHARACTER * len(text))
    return require_bounded(text)


def _require_short_json(value: Any) -> None:
    """Raise EvaluationError if the JSON would be too long, before it is built: values can share their parts."""
    length = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            length += len(item)
        elif isinstance(item, dict):
            length += 2 * len(item) + sum(map(len, item))
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            length += 2 * len(item)
            stack.extend(item)
        if length > MAX_TEXT_LENGTH:
            raise EvaluationError(f"the text is longer than {MAX_TEXT_LENGTH:,} characters")


def require_shallow(value: Any, spend: Spend) -> None:
    """Raise EvaluationError if lists and objects are nested deeper than `MAX_DEPTH`."""
    level = [value] if isinstance(value, list | dict) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise EvaluationError(f"the value is nested deeper than {MAX_DEPTH} levels")
        below: list[Any] = []
        for each in level:
            spend(NESTED_ITEM * len(each))
            for part in list_parts(each):
                if type(part) not in SCALARS and is_container(part):
                    below.append(part)
        level = below


def require_bounded(text: str) -> str:
    """Return the text; raises EvaluationError if it is too long."""
    if len(text) > MAX_TEXT_LENGTH:
        raise EvaluationError(f"the text is longer than {MAX_TEXT_LENGTH:,} characters")
    return text


def is_number(value: Any) -> bool:
    """Return whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_number(value: Any) -> int | float | None:
    """Return a number, also from text of up to MAX_NUMBER_LENGTH; `None` if it is not a number."""
    if isinstance(value, str):
        if len(value) > MAX_NUMBER_LENGTH:
            return None
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value.replace("_", "?"))
        except ValueError:
            return None
    if not is_number(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value  # type: ignore[no-any-return]  # is_number has just said so


def read_date(value: Any) -> datetime | None:
    """Parse an ISO 8601 date or time, in UTC if it has no offset; `None` if it is neither, as a number is."""
    if not isinstance(value, str) or not 10 <= len(value) <= MAX_DATE_LENGTH or value[4] != "-" or value[7] != "-":
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_index(text: str) -> int | None:
    """Parse an index of a list; `None` if the text is not an index."""
    digits = text[1:] if text.startswith("-") else text
    return int(text) if digits.isdecimal() and len(digits) < 10 else None


def get_child(value: Any, part: str | int) -> Any:
    """Return the value under a key of an object or an index of a list, or `MISSING`."""
    if isinstance(value, dict):
        return value.get(part if isinstance(part, str) else str(part), MISSING)
    if isinstance(value, list):
        index = read_index(part) if isinstance(part, str) else part
        return MISSING if index is None or not -len(value) <= index < len(value) else value[index]
    return MISSING


def suggest_list(value: Any) -> str | None:
    """Return a hint on how to make a list of a value that is not one."""
    if isinstance(value, dict):
        return "use `| values` for the values of an object"
    return "use `| default([])` if it may be missing" if value is None else None


def suggest_text(value: Any) -> str | None:
    """Return a hint on how to make text of a value that is not text."""
    return "use `| json` for JSON text" if isinstance(value, list | dict) else None


def is_day(value: Any) -> bool:
    """Return whether a value has the length of a date without a time."""
    return isinstance(value, str) and len(value) == 10


def cost_of_order(values: Iterable[Any]) -> int:
    """Return the cost of comparing each text of a list with another one."""
    return sum(len(value) // COMPARED_CHARACTERS for value in values if isinstance(value, str))


def json_equal(left: Any, right: Any, spend: Spend) -> bool:
    """Return whether two values are equal as JSON: 1 equals 1.0, but not true."""
    kind = type(left)
    if kind is type(right) and kind in _SCALARS:
        if kind is str and len(left) > COMPARED_CHARACTERS and len(left) == len(right):
            spend(len(left) // COMPARED_CHARACTERS)
        return bool(left == right)
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            spend(NESTED_ITEM * len(one))
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            spend(NESTED_ITEM * len(one))
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif one != other:
            return False
    return True


_SCALARS = (str, int, float, bool)
