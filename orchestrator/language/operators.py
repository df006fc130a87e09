"""The table of operators (SPEC §4). Conditions, the builder's data, the docs and the API's catalogue read it.

An operator that cannot handle its values raises `CannotTake`: the condition is then false (true for a
negation), with a warning. Replay-sensitive: no clock, no randomness.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, assert_never

import re2

from orchestrator.errors import ConditionError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.language.costs import (
    LISTED_ITEM,
    OPERATOR_COSTS,
    PATTERN_CHARACTER,
    PATTERN_INSTRUCTIONS,
    cost_of_search,
)
from orchestrator.language.env import Env
from orchestrator.language.values import (
    MISSING,
    CannotTake,
    is_number,
    json_equal,
    number_to_text,
    read_date,
    read_number,
)

MAX_PATTERN_LENGTH = 1_000
"""Maximum characters of a pattern."""
MAX_PATTERN_MEMORY = 1_048_576
"""Maximum memory of a compiled pattern, in bytes; RE2 rejects larger ones."""
MAX_MATCH_WORK = 100_000_000
"""Maximum of a pattern's instructions times the bytes of the text: at worst half a second."""
CACHED_PATTERNS = 128

Takes = Literal["any", "none", "list", "text", "pattern", "order", "date", "dates", "size"]
"""Kinds of value: `order` is a number or a date, `dates` is `[from, to]`, `size` is a number."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator: its label in builders, the kind of its value, and its code `(env, seen, value)`."""

    name: str
    label: str
    description: str
    takes: Takes
    call: Callable[[Env, Any, Any], bool]
    negates: str | None = None
    """The operator whose negation this is."""
    sees_missing: bool = False
    """A missing field is passed as `MISSING`, not as null."""


TAKES: Mapping[Takes, str] = {
    "any": "any value",
    "none": "no value",
    "list": "a list",
    "text": "text",
    "pattern": "an RE2 pattern",
    "order": "a number or a date",
    "date": "a date",
    "dates": "[from, to], two dates",
    "size": "a number",
}
"""Names of the kinds of value, for messages and the docs."""

HINTS: Mapping[Takes, str] = {
    "dates": "for numbers use greater_than_or_equals and less_than_or_equals",
    "date": "write ISO 8601: 2026-01-31 or 2026-01-31T09:00:00Z",
    "list": 'write a list: ["a", "b"]',
}
"""Hints for a value of the wrong kind."""


def accepts_value(value: Any, takes: Takes, is_template: Callable[[str], bool] = lambda text: False) -> bool:
    """Return whether an operator takes a literal; a template is accepted, its value is not known yet."""
    if takes == "any" or (isinstance(value, str) and is_template(value)):
        return True
    match takes:
        case "none":
            return not value
        case "list":
            return isinstance(value, list | tuple)
        case "pattern":
            return isinstance(value, str)
        case "text":
            return isinstance(value, str) or is_number(value)
        case "order":
            return read_number(value) is not None or read_date(value) is not None
        case "date":
            return read_date(value) is not None
        case "dates":
            pair = isinstance(value, list | tuple) and len(value) == 2
            return pair and all(accepts_value(end, "date", is_template) for end in value)
        case "size":
            return read_number(value) is not None
        case _:
            assert_never(takes)


def compare(operator: Operator, field: str, seen: Any, value: Any, env: Env) -> bool:
    """Apply an operator; if it cannot handle the values, add a warning and return false, or true for a negation."""
    env.spend(OPERATOR_COSTS[operator.name])
    try:
        return operator.call(env, seen, value)
    except CannotTake as refusal:
        kinds = f"`{field:.60}` is {describe_type(seen)} and the value is {describe_type(value)}"
        env.warnings.add(f"`{operator.name}` takes {refusal.reason}, but {kinds}")
        return operator.negates is not None


def spend_on_pattern(operator: Operator, value: Any, env: Env) -> None:
    """Count the cost of compiling a pattern from the data, before it is applied."""
    if operator.takes == "pattern" and isinstance(value, str):
        env.spend(PATTERN_CHARACTER * len(value))


def is_equal(env: Env, seen: Any, value: Any) -> bool:
    """Return whether two values are equal as JSON, or two dates are the same instant."""
    if json_equal(seen, value, env.spend):
        return True
    if type(seen) is not str or type(value) is not str:
        return False
    left = read_date(seen)
    return left is not None and left == read_date(value)


def _compare_in_order(compare: Callable[[Any, Any], bool]) -> Callable[[Env, Any, Any], bool]:
    def call(env: Env, seen: Any, value: Any) -> bool:
        kinds = type(seen), type(value)
        if kinds == (int, int):
            return compare(seen, value)
        left, right = read_number(seen), read_number(value)
        if left is not None and right is not None:
            return compare(left, right)
        earlier, later = read_date(seen), read_date(value)
        if earlier is not None and later is not None:
            return compare(earlier, later)
        raise CannotTake("two numbers or two dates")

    return call


def _compare_dates(compare: Callable[[Any, Any], bool]) -> Callable[[Env, Any, Any], bool]:
    def call(env: Env, seen: Any, value: Any) -> bool:
        left, right = read_date(seen), read_date(value)
        if left is None or right is None:
            raise CannotTake("two dates")
        return compare(left, right)

    return call


def _between(env: Env, seen: Any, value: Any) -> bool:
    moment = read_date(seen)
    ends = [read_date(end) for end in value] if isinstance(value, list | tuple) and len(value) == 2 else [None]
    if moment is None or None in ends:
        raise CannotTake("a date and [from, to]")
    return bool(ends[0] <= moment <= ends[1])  # type: ignore[operator]  # None has just been ruled out


def _read_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return number_to_text(value) if is_number(value) else None


def _contains(env: Env, seen: Any, value: Any) -> bool:
    if isinstance(seen, list):
        return _has_item(env, seen, value)
    wanted = _read_text(value)
    if isinstance(seen, dict):
        return wanted is not None and wanted in seen

    def search(text: str, part: str) -> bool:
        env.spend(cost_of_search(text, part))
        return part in text

    return _compare_texts(seen, value, "a list, an object or text", search)


def _has_item(env: Env, items: list[Any] | tuple[Any, ...], value: Any) -> bool:
    env.spend(LISTED_ITEM * len(items))
    return any(is_equal(env, item, value) for item in items)


def _compare_texts(seen: Any, value: Any, takes: str, test: Callable[[str, str], bool]) -> bool:
    if seen is None:
        return False
    text, part = _read_text(seen), _read_text(value)
    if text is None or part is None:
        raise CannotTake(takes)
    return test(text, part)


def _starts_with(env: Env, seen: Any, value: Any) -> bool:
    return _compare_texts(seen, value, "two texts", str.startswith)


def _ends_with(env: Env, seen: Any, value: Any) -> bool:
    return _compare_texts(seen, value, "two texts", str.endswith)


def _is_empty(env: Env, seen: Any, value: Any) -> bool:
    return seen is None or (isinstance(seen, str | list | dict) and not seen)


def _in(env: Env, seen: Any, value: Any) -> bool:
    if not isinstance(value, list | tuple):
        raise CannotTake("a list as value")
    return _has_item(env, value, seen)


@lru_cache(CACHED_PATTERNS)
def compile_pattern(source: str) -> Any:
    """Compile an RE2 pattern; raises ConditionError if it is invalid, too long or too large."""
    if len(source) > MAX_PATTERN_LENGTH:
        raise ConditionError(f"the pattern is longer than {MAX_PATTERN_LENGTH:,} characters")
    options = re2.Options()
    options.max_mem = MAX_PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile(source, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if isinstance(error, re2.error) and error.args else "it is not valid text"
        message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ConditionError(
            f"invalid pattern {source[:60]!r}: {message}",
            hint="patterns are RE2: no lookaround, no backreferences",
        ) from None
    return compiled


def _matches(env: Env, seen: Any, value: Any) -> bool:
    if not isinstance(value, str):
        raise CannotTake("a pattern as value")
    compiled = compile_pattern(value)
    if seen is None:
        return False
    text = _read_text(seen)
    if text is None:
        raise CannotTake("text")
    data = text.encode("utf-8", "replace")
    if len(data) * compiled.programsize > MAX_MATCH_WORK:
        raise CannotTake("shorter text or a simpler pattern")
    env.spend(int(compiled.programsize) * len(data) // PATTERN_INSTRUCTIONS)
    return compiled.match(data) is not None


def _compare_length(compare: Callable[[Any, Any], bool]) -> Callable[[Env, Any, Any], bool]:
    def call(env: Env, seen: Any, value: Any) -> bool:
        if seen is None:
            return False
        wanted = read_number(value)
        if wanted is None or not isinstance(seen, str | list | dict):
            raise CannotTake("a list, text or object, and a number")
        return compare(len(seen), wanted)

    return call


def _exists(env: Env, seen: Any, value: Any) -> bool:
    return seen is not MISSING


def _less(left: Any, right: Any) -> bool:
    return bool(left < right)


def _less_or_equal(left: Any, right: Any) -> bool:
    return bool(left <= right)


def _greater(left: Any, right: Any) -> bool:
    return bool(left > right)


def _greater_or_equal(left: Any, right: Any) -> bool:
    return bool(left >= right)


def _same(left: Any, right: Any) -> bool:
    return bool(left == right)


def _negate(of: Operator, name: str, label: str, description: str) -> Operator:
    call = of.call
    return Operator(
        name,
        label,
        description,
        of.takes,
        lambda env, seen, value: not call(env, seen, value),
        of.name,
        of.sees_missing,
    )


_EQUALS = Operator("equals", "equals", "Equal as JSON values; two dates are compared as instants.", "any", is_equal)
_CONTAINS = Operator(
    "contains", "contains", "A list has the element, an object the key, text the substring.", "any", _contains
)
_EMPTY = Operator(
    "is_empty", "is empty", "Null, empty text, list or object; 0 and false are not empty.", "none", _is_empty
)
_IN = Operator("in", "is one of", "Equal to an element of the list.", "list", _in)
_EXISTS = Operator("exists", "exists", "The field exists, even if it is null.", "none", _exists, sees_missing=True)

_TABLE = (
    _EQUALS,
    _negate(_EQUALS, "not_equals", "does not equal", "Not equal."),
    Operator("greater_than", "is greater than", "Larger number, or later date.", "order", _compare_in_order(_greater)),
    Operator(
        "greater_than_or_equals",
        "is greater than or equals",
        "Larger or equal number, or a date not before.",
        "order",
        _compare_in_order(_greater_or_equal),
    ),
    Operator("less_than", "is less than", "Smaller number, or earlier date.", "order", _compare_in_order(_less)),
    Operator(
        "less_than_or_equals",
        "is less than or equals",
        "Smaller or equal number, or a date not after.",
        "order",
        _compare_in_order(_less_or_equal),
    ),
    _CONTAINS,
    _negate(_CONTAINS, "not_contains", "does not contain", "Has no such element, key or substring."),
    Operator("starts_with", "starts with", "Text begins with the value.", "text", _starts_with),
    Operator("ends_with", "ends with", "Text ends with the value.", "text", _ends_with),
    _EMPTY,
    _negate(_EMPTY, "is_not_empty", "is not empty", "Anything but null, empty text, list or object."),
    _IN,
    _negate(_IN, "not_in", "is not one of", "Not equal to any element of the list."),
    Operator("matches", "matches", "Text matches the RE2 pattern from the start.", "pattern", _matches),
    Operator("before", "is before", "Earlier date.", "date", _compare_dates(_less)),
    Operator("after", "is after", "Later date.", "date", _compare_dates(_greater)),
    Operator("between", "is between", "Date within [from, to], both included.", "dates", _between),
    Operator("length_equals", "has length", "List, text or object has that length.", "size", _compare_length(_same)),
    Operator(
        "length_greater_than", "is longer than", "List, text or object is longer.", "size", _compare_length(_greater)
    ),
    Operator("length_less_than", "is shorter than", "List, text or object is shorter.", "size", _compare_length(_less)),
    _EXISTS,
    _negate(_EXISTS, "not_exists", "does not exist", "The field does not exist."),
)
OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _TABLE}
