"""Types of values, as far as a definition tells them. What is not known is every kind at once, and nothing complains.

A type is the set of kinds that a value may be of, with the type of its elements and fields. `missing` is a kind too: a
variable that only one of two paths sets is `text` on one of them, `missing` on the other, and either after they meet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

Kind = Literal["missing", "null", "boolean", "number", "text", "list", "object"]
KINDS: frozenset[Kind] = frozenset(("null", "boolean", "number", "text", "list", "object"))
ABSENT: frozenset[Kind] = frozenset(("missing", "null"))
MAX_DEPTH = 8
"""Levels of lists and objects that are told apart; below, anything is possible."""
MAX_TEXTS = 50
"""Texts of a choice that are told apart; more are any text."""
MAX_SIZE = 500
"""Types that a type is made of; a larger one is anything of its kind."""
MAX_FIELDS = 200
"""Elements of a list that are looked at; a longer one is any list."""

NAMES: Mapping[Kind, str] = {
    "missing": "missing",
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "text": "text",
    "list": "a list",
    "object": "an object",
}


@dataclass(frozen=True, slots=True)
class Type:
    """What a value may be."""

    kinds: frozenset[Kind]
    items: "Type | None" = None
    """The elements of a list; None is anything."""
    fields: Mapping[str, "Type"] = field(default_factory=dict)
    """The known fields of an object; one that may be absent has the kind `missing`."""
    closed: bool = False
    """Whether an object has no other fields."""
    texts: frozenset[str] | None = None
    """The texts that it may be; None is any text."""
    size: int = field(default=1, compare=False)
    """Types that it is made of."""
    depth: int = field(default=1, compare=False)
    """Levels of lists and objects."""
    outside: bool = False
    """Whether someone outside may have chosen it: the text, and the elements and fields that are not known."""

    @property
    def may_be_absent(self) -> bool:
        """Return whether a name may not be there at all."""
        return "missing" in self.kinds

    @property
    def is_absent(self) -> bool:
        """Return whether there is certainly no value: missing or null."""
        return self.kinds <= ABSENT

    def describe(self) -> str:
        """Return the kinds in words."""
        return " or ".join(NAMES[kind] for kind in NAMES if kind in self.kinds and kind != "missing") or "null"


ANY = Type(KINDS)
MAYBE_ANY = Type(KINDS | {"missing"})
OUTSIDE = Type(KINDS, outside=True)
MAYBE_OUTSIDE = Type(KINDS | {"missing"}, outside=True)
MISSING = Type(frozenset(("missing",)))
NULL = Type(frozenset(("null",)))
BOOLEAN = Type(frozenset(("boolean",)))
NUMBER = Type(frozenset(("number",)))
TEXT = Type(frozenset(("text",)))
LIST = Type(frozenset(("list",)))
OBJECT = Type(frozenset(("object",)))


State = Mapping[str, Type]
"""What is known at one point of a run: the type of each variable, and of each step under `steps.<id>`."""


def build(
    kinds: frozenset[Kind],
    items: Type | None = None,
    fields: Mapping[str, Type] | None = None,
    *,
    closed: bool = False,
    texts: frozenset[str] | None = None,
    outside: bool = False,
) -> Type:
    """Return a type; one that would be too deep or too large knows its kinds only."""
    parts = [*(() if items is None else (items,)), *(fields or {}).values()]
    size = 1 + sum(part.size for part in parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if size > MAX_SIZE or depth > MAX_DEPTH:
        return Type(kinds, outside=outside or any(map(holds_outside, parts)))
    return Type(kinds, items, fields or {}, closed, texts, size, depth, outside)


def make_list(items: Type) -> Type:
    """Return the type of a list."""
    return build(LIST.kinds, items)


def make_object(fields: Mapping[str, Type], *, closed: bool = True) -> Type:
    """Return the type of an object."""
    return build(OBJECT.kinds, None, fields, closed=closed)


def replace_fields(type_: Type, fields: Mapping[str, Type]) -> Type:
    """Return the type with other fields."""
    return build(type_.kinds, type_.items, fields, closed=type_.closed, texts=type_.texts, outside=type_.outside)


def widen(type_: Type) -> Type:
    """Return the type of a value whose kind is known, but not which value it is: an object may have other fields."""
    items = None if type_.items is None else widen(type_.items)
    return build(type_.kinds, items, {name: widen(part) for name, part in type_.fields.items()})


def make_text(texts: Iterable[str]) -> Type:
    """Return the type of a text that is one of a few."""
    known = frozenset(texts)
    return TEXT if len(known) > MAX_TEXTS else Type(TEXT.kinds, texts=known)


def join(one: Type, other: Type) -> Type:
    """Return the type of a value that is of either type."""
    if one is other or (other is ANY is not one and "missing" not in one.kinds and not one.outside):
        return other
    if (one is ANY and "missing" not in other.kinds and not other.outside) or one == other:
        return one
    objects = [each for each in (one, other) if "object" in each.kinds]
    return build(
        one.kinds | other.kinds,
        _join_items(one, other),
        _join_fields(one, other),
        closed=bool(objects) and all(each.closed for each in objects),
        texts=_join_texts(one, other),
        outside=one.outside or other.outside,
    )


def join_all(types: Iterable[Type]) -> Type:
    """Return the type of a value that is of any of the types; NULL for none."""
    listed = list(types)
    return reduce(join, listed) if listed else NULL


def _join_items(one: Type, other: Type) -> Type | None:
    holders = [each for each in (one, other) if "list" in each.kinds]
    if any(each.items is None for each in holders):
        return None
    items = [each.items for each in holders if each.items is not None]
    return reduce(join, items) if items else None


def _join_fields(one: Type, other: Type) -> Mapping[str, Type]:
    if "object" not in one.kinds or "object" not in other.kinds:
        return other.fields if "object" in other.kinds else one.fields
    names = dict.fromkeys((*one.fields, *other.fields))
    return {name: join(get_field(one, name), get_field(other, name)) for name in names}


def _join_texts(one: Type, other: Type) -> frozenset[str] | None:
    holders = [each.texts for each in (one, other) if "text" in each.kinds]
    if not holders or any(texts is None for texts in holders):
        return None
    texts = frozenset[str]().union(*(each for each in holders if each is not None))
    return texts if len(texts) <= MAX_TEXTS else None


def get_field(holder: Type, name: str) -> Type:
    """Return the type of a field of an object."""
    known = holder.fields.get(name)
    if known is not None:
        return known
    if holder.closed:
        return MISSING
    return MAYBE_OUTSIDE if holder.outside else MAYBE_ANY


def get_items(holder: Type) -> Type:
    """Return the type of the elements of a list."""
    return holder.items or (OUTSIDE if holder.outside else ANY)


def mark_outside(type_: Type) -> Type:
    """Return the type of a value that someone outside chooses: only what its schema leaves open is their choice."""
    if type_.outside:
        return type_
    if type_ is ANY or type_ is MAYBE_ANY:
        return OUTSIDE if type_ is ANY else MAYBE_OUTSIDE
    items = None if type_.items is None else mark_outside(type_.items)
    fields = {name: mark_outside(part) for name, part in type_.fields.items()}
    is_open = ("text" in type_.kinds and type_.texts is None) or not type_.kinds.isdisjoint(("list", "object"))
    return build(type_.kinds, items, fields, closed=type_.closed, texts=type_.texts, outside=is_open)


def holds_outside(type_: Type) -> bool:
    """Return whether someone outside may have chosen a text, or a part of it."""
    if type_.outside and not type_.kinds.isdisjoint(("text", "list", "object")):
        return True
    return (type_.items is not None and holds_outside(type_.items)) or any(map(holds_outside, type_.fields.values()))


def get_child(holder: Type, part: str | int) -> Type:
    """Return the type of what a path finds under a key or an index; `missing` where there may be nothing."""
    if holder is ANY or holder is MAYBE_ANY:
        return MAYBE_ANY
    if holder is OUTSIDE or holder is MAYBE_OUTSIDE:
        return MAYBE_OUTSIDE
    found: list[Type] = []
    if "object" in holder.kinds:
        found.append(get_field(holder, str(part)))
    if "list" in holder.kinds and (isinstance(part, int) or part.lstrip("-").isdecimal()):
        found.append(add_kinds(get_items(holder), "missing"))
    if holder.kinds - {"object"}:
        found.append(MISSING)
    return reduce(join, found)


def add_kinds(type_: Type, *kinds: Kind) -> Type:
    """Return the type with more kinds."""
    return type_ if type_.kinds.issuperset(kinds) else _change_kinds(type_, type_.kinds.union(kinds))


def drop_kinds(type_: Type, *kinds: Kind) -> Type:
    """Return the type without some kinds."""
    return type_ if type_.kinds.isdisjoint(kinds) else _change_kinds(type_, type_.kinds.difference(kinds))


def keep_kinds(type_: Type, kinds: Iterable[Kind]) -> Type:
    """Return the type with these kinds only."""
    kept = type_.kinds.intersection(kinds)
    return type_ if len(kept) == len(type_.kinds) else _change_kinds(type_, kept)


def _change_kinds(type_: Type, kinds: frozenset[Kind]) -> Type:
    # `dataclasses.replace` takes four times as long, and this is what a walk does most.
    return Type(kinds, type_.items, type_.fields, type_.closed, type_.texts, type_.size, type_.depth, type_.outside)


def read_value(type_: Type) -> Type:
    """Return what a template gets: null for what is missing."""
    if type_ is MAYBE_ANY or type_ is MAYBE_OUTSIDE:
        return ANY if type_ is MAYBE_ANY else OUTSIDE
    return add_kinds(drop_kinds(type_, "missing"), "null") if type_.may_be_absent else type_


def type_of(value: Any, depth: int = 0) -> Type:
    """Return the type of a constant."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int() | float():
            return NUMBER
        case str():
            return make_text((value,))
        case _ if depth >= MAX_DEPTH:
            return ANY
        case list():
            return make_list(join_all(type_of(item, depth + 1) for item in value)) if len(value) <= MAX_FIELDS else LIST
        case dict():
            return make_object({str(key): type_of(item, depth + 1) for key, item in value.items()})
        case _:
            return ANY
