"""What pipes, functions and operators take and return: one table for the check and for the docs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.planner.data_flow.types import (
    ANY,
    BOOLEAN,
    KINDS,
    LIST,
    NUMBER,
    TEXT,
    Kind,
    Type,
    add_kinds,
    drop_kinds,
    get_child,
    get_items,
    holds_outside,
    join,
    join_all,
    make_list,
    make_object,
    mark_outside,
    read_value,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a pipe takes, as kinds and in words, and what it returns."""

    takes: frozenset[Kind]
    text: str
    """For the docs: `text → text`."""
    compute: Callable[[Type, list[Type]], Type]
    """The type of the result, of a value that it takes and of the arguments."""


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


TEXTS = _kinds("text", "number")
"""Where text is taken, a number is taken by its text; where a number is taken, so is text that reads as one."""
SIZED = _kinds("text", "list", "object")
NULLABLE_TEXT = add_kinds(TEXT, "null")


def _returns(result: Type) -> Callable[[Type, list[Type]], Type]:
    return lambda value, arguments: result


def _items(value: Type) -> Type:
    return get_items(value) if "list" in value.kinds else ANY


def _read_number(value: Type, arguments: list[Type]) -> Type:
    """Return the type of a number, or of text that does not read as one, which is left unchanged."""
    return join(NUMBER, TEXT) if "text" in value.kinds else NUMBER


def _add_up(value: Type, arguments: list[Type]) -> Type:
    return NUMBER if _items(value).kinds <= {"number"} else join(NUMBER, value)


def _choose(value: Type, arguments: list[Type]) -> Type:
    """Return the type of an element, or of an empty list, which is left unchanged."""
    return join(_items(value), value)


def _take_element(value: Type, arguments: list[Type]) -> Type:
    taken = ([TEXT] if "text" in value.kinds else []) + ([_items(value)] if "list" in value.kinds else [])
    return add_kinds(join_all(taken), "null")


def _take_part(value: Type, arguments: list[Type]) -> Type:
    taken = ([TEXT] if "text" in value.kinds else []) + ([make_list(_items(value))] if "list" in value.kinds else [])
    return join_all(taken)


def _list_values(value: Type, arguments: list[Type]) -> Type:
    if "object" not in value.kinds or not value.closed:
        return mark_outside(LIST) if holds_outside(value) else LIST
    return make_list(join_all(map(read_value, value.fields.values()))) if value.fields else LIST


def _use_default(value: Type, arguments: list[Type]) -> Type:
    other = arguments[0] if arguments else TEXT
    return join(drop_kinds(value, "null", "missing"), other) if value.kinds - {"null", "missing"} else other


def _map(value: Type, arguments: list[Type]) -> Type:
    path = arguments[0].texts if arguments else None
    if path is None or len(path) != 1:
        return LIST
    found = _items(value)
    for key in next(iter(path)).split("."):
        found = get_child(found, key)
    return make_list(read_value(found))


def _keep_elements(value: Type, arguments: list[Type]) -> Type:
    return make_list(_items(value))


def _chunk(value: Type, arguments: list[Type]) -> Type:
    return make_list(make_list(_items(value)))


def _list_entries(value: Type, arguments: list[Type]) -> Type:
    return make_list(make_object({"key": TEXT, "value": _items(_list_values(value, []))}))


PIPES: Mapping[str, Signature] = {
    "upper": Signature(TEXTS, "text → text", _returns(TEXT)),
    "lower": Signature(TEXTS, "text → text", _returns(TEXT)),
    "title": Signature(TEXTS, "text → text", _returns(TEXT)),
    "trim": Signature(TEXTS, "text → text", _returns(TEXT)),
    "length": Signature(SIZED, "text, list or object → number", _returns(NUMBER)),
    "first": Signature(_kinds("text", "list"), "list of T → T or null, text → text or null", _take_element),
    "last": Signature(_kinds("text", "list"), "list of T → T or null, text → text or null", _take_element),
    "sum": Signature(_kinds("list"), "list of numbers → number", _add_up),
    "min": Signature(_kinds("list"), "list of T → T", _choose),
    "max": Signature(_kinds("list"), "list of T → T", _choose),
    "join": Signature(_kinds("list"), "list → text", _returns(TEXT)),
    "keys": Signature(_kinds("object"), "object → list of texts", _returns(make_list(TEXT))),
    "values": Signature(_kinds("object"), "object → list", _list_values),
    "json": Signature(KINDS, "any → text, null → null", _returns(NULLABLE_TEXT)),
    "default": Signature(KINDS, "T or null, U → T or U", _use_default),
    "currency": Signature(TEXTS, "number → text", _returns(TEXT)),
    "date": Signature(_kinds("text"), "date → text", _returns(TEXT)),
    "datetime": Signature(_kinds("text"), "date → text", _returns(TEXT)),
    "at": Signature(_kinds("text"), "date → date", _returns(TEXT)),
    "round": Signature(TEXTS, "number → number", _read_number),
    "replace": Signature(TEXTS, "text → text", _returns(TEXT)),
    "split": Signature(TEXTS, "text → list of texts", _returns(make_list(TEXT))),
    "slice": Signature(_kinds("text", "list"), "list of T → list of T, text → text", _take_part),
    "sort": Signature(_kinds("list"), "list of T → list of T", _keep_elements),
    "unique": Signature(_kinds("list"), "list of T → list of T", _keep_elements),
    "number": Signature(TEXTS, "text or number → number", _read_number),
    "string": Signature(KINDS, "any → text", _returns(TEXT)),
    "bool": Signature(KINDS, "any → true or false", _returns(BOOLEAN)),
    "map": Signature(_kinds("list"), "list → list", _map),
    "filter": Signature(_kinds("list"), "list of T → list of T", _keep_elements),
    "count": Signature(SIZED, "list, text or object → number", _returns(NUMBER)),
    "entries": Signature(_kinds("object"), "object → list of {key, value}", _list_entries),
    "chunk": Signature(_kinds("list"), "list of T → list of lists of T", _chunk),
    "parse": Signature(_kinds("text"), "text → any", _returns(ANY)),
    "hash": Signature(TEXTS, "text → text", _returns(TEXT)),
    "base64": Signature(TEXTS, "text → text", _returns(TEXT)),
}

FUNCTIONS: Mapping[str, Type] = {
    "now": TEXT,
    "today": TEXT,
    "timestamp": NUMBER,
    "uuid": TEXT,
    "days_ago": TEXT,
    "days_from_now": TEXT,
    "start_of_day": NULLABLE_TEXT,
    "end_of_day": NULLABLE_TEXT,
    "start_of_week": NULLABLE_TEXT,
    "start_of_month": NULLABLE_TEXT,
    "is_overdue": BOOLEAN,
    "days_until": add_kinds(NUMBER, "null"),
    "days_since": add_kinds(NUMBER, "null"),
    "approval_link": TEXT,
}
"""What functions return."""

ORDERED = _kinds("number", "text")
FIELDS: Mapping[str, frozenset[Kind]] = {
    "greater_than": ORDERED,
    "greater_than_or_equals": ORDERED,
    "less_than": ORDERED,
    "less_than_or_equals": ORDERED,
    "contains": _kinds("list", "object", "text", "number"),
    "not_contains": _kinds("list", "object", "text", "number"),
    "starts_with": TEXTS,
    "ends_with": TEXTS,
    "matches": TEXTS,
    "before": _kinds("text"),
    "after": _kinds("text"),
    "between": _kinds("text"),
    "length_equals": SIZED,
    "length_greater_than": SIZED,
    "length_less_than": SIZED,
}
"""The kinds of field that an operator compares; those that are not listed take every kind."""

__all__ = ["FIELDS", "FUNCTIONS", "PIPES", "Signature"]
