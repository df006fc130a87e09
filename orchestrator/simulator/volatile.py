"""Replace what is another value in each run by marks: all that comes from the clock, UUIDs and the ID of a run. No I/O.

Such a value is found by looking at it in two worlds. `order 7 at 09:30:01` and `order 7 at 09:30:04` become
`order 7 at 09:30:0…`, so that order 8 is still another text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

MARK = "…"


def mark_volatile(one: Any, other: Any) -> Any:
    """Return a value as it is in both worlds, with marks in place of what differs."""
    if type(one) is not type(other):
        return MARK
    match one:
        case Mapping() if one.keys() == other.keys():
            return {key: mark_volatile(one[key], other[key]) for key in one}
        case list() if len(one) == len(other):
            return [mark_volatile(each, its_other) for each, its_other in zip(one, other, strict=True)]
        case str() if one != other:
            begin = _count_equal(one, other)
            end = _count_equal(one[begin:][::-1], other[begin:][::-1])
            return one[:begin] + MARK + (one[-end:] if end else "")
        case _:
            return one if one == other else MARK


def _count_equal(one: str, other: str) -> int:
    """Return the number of characters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def list_changed_paths(before: Any, after: Any, path: str = "") -> Sequence[str]:
    """Return JSON Pointers to what differs between two values."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = dict.fromkeys((*before, *after))
        return [
            each
            for key in keys
            for each in (
                list_changed_paths(before[key], after[key], f"{path}/{key}")
                if key in before and key in after
                else [f"{path}/{key}"]
            )
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for index, pair in pairs for each in list_changed_paths(*pair, f"{path}/{index}")]
    return [] if before == after and type(before) is type(after) else [path or "/"]
