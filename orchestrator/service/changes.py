"""Find what differs between two definitions: nodes and edges by what they are, not by their place in a list."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from orchestrator.jsontools.pointer import escape

MAX_CHANGES = 1000
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two definitions."""

    kind: Kind
    path: str
    """JSON Pointer, with the id of a node or edge in place of its index."""
    before: Any = None
    after: Any = None


def find_changes(before: Any, after: Any) -> list[Change]:
    """Return the differences between two JSON values, at most MAX_CHANGES."""
    return list(islice(_compare(before, after, ""), MAX_CHANGES))


def _compare(before: Any, after: Any, path: str) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _compare_entries(before, after, path)
    elif isinstance(before, list) and isinstance(after, list):
        old, new = _index_by_id(before), _index_by_id(after)
        if old is not None and new is not None:
            yield from _compare_entries(old, new, path)
        else:
            yield from _compare_items(before, after, path)
    elif _encode(before) != _encode(after):
        yield Change("changed", path, before, after)


def _compare_entries(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Change]:
    for key, value in before.items():
        at = f"{path}/{escape(key)}"
        if key in after:
            yield from _compare(value, after[key], at)
        else:
            yield Change("removed", at, before=value)
    for key, value in after.items():
        if key not in before:
            yield Change("added", f"{path}/{escape(key)}", after=value)


def _compare_items(before: list[Any], after: list[Any], path: str) -> Iterator[Change]:
    """Compare lists of values without IDs; the index is that in the list which has the value."""
    old, new = [list(map(_encode, items)) for items in (before, after)]
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    if not gone and not come:
        if old != new:
            yield Change("changed", path, before, after)
        return
    for kind, items, texts, wanted in (("removed", before, old, gone), ("added", after, new, come)):
        for index, text in enumerate(texts):
            if wanted[text]:
                wanted[text] -= 1
                value = {"before": items[index]} if kind == "removed" else {"after": items[index]}
                yield Change("removed" if kind == "removed" else "added", f"{path}/{index}", **value)


def _index_by_id(items: list[Any]) -> dict[str, Any] | None:
    """Return items by their ID; `None` where some have none, or the same one."""
    by_id = {each["id"]: each for each in items if isinstance(each, Mapping) and isinstance(each.get("id"), str)}
    return by_id if len(by_id) == len(items) else None


def _encode(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
