"""Where the values of a text are: lines and columns, and the offsets behind JSON Pointers. No I/O here."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from orchestrator.jsontools.pointer import escape, split_pointer
from orchestrator.jsontools.text import shorten

MAX_SHOWN = 100
"""Longer lines are truncated to this number of characters in an error."""
MAX_REPEATS = 100
"""Maximum duplicate keys that are reported; each report holds a whole pointer."""
INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Position:
    """A line and a column, both from 1; the column in characters."""

    line: int
    column: int


class Lines:
    """The offsets at which lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def locate(self, offset: int) -> Position:
        """Return the position of an offset."""
        row = bisect_right(self.starts, offset) - 1
        return Position(row + 1, offset - self.starts[row] + 1)

    def get_line(self, offset: int) -> str:
        """Return the line at an offset, truncated."""
        start = self.starts[bisect_right(self.starts, offset) - 1]
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else None].rstrip("\r")
        return shorten(line, MAX_SHOWN)


@dataclass(slots=True)
class Container:
    """An object or a list: its offset and its parts. Other values are stored as their offset alone."""

    offset: int
    parts: "dict[str, Item] | list[Item]"
    key: str = ""
    """In an object, the key of the next value."""


Item = int | Container
"""A value by its offset."""


@dataclass(slots=True)
class Layout:
    """The offsets of all values of a text, and its duplicate keys."""

    root: Item = 0
    duplicates: list[tuple[str, int]] = field(default_factory=list)
    """`(pointer, offset of the first value)`."""

    def find_offset(self, pointer: str) -> int:
        """Return the offset of a JSON Pointer, or of the closest parent that exists."""
        item = self.root
        for key in split_pointer(pointer):
            inner = _get_child(item, key)
            if inner is None:
                break
            item = inner
        return item if isinstance(item, int) else item.offset

    def put(self, stack: list[Container], item: Item) -> None:
        """Add a value to the innermost container of a stack, or make it the root."""
        if not stack:
            self.root = item
        elif isinstance(stack[-1].parts, dict):
            stack[-1].parts[stack[-1].key] = item
        else:
            stack[-1].parts.append(item)

    def record_repeat(self, stack: list[Container]) -> None:
        """Record the current key if its object already has it; pointers are built for duplicates only."""
        parts, key = stack[-1].parts, stack[-1].key
        if not isinstance(parts, dict) or key not in parts or len(self.duplicates) >= MAX_REPEATS:
            return
        first = parts[key]
        pointer = "".join(f"/{_get_part(each)}" for each in stack)
        self.duplicates.append((pointer, first if isinstance(first, int) else first.offset))


def _get_part(container: Container) -> str:
    """Return the current key or index as a part of a JSON Pointer."""
    if isinstance(container.parts, list):
        return str(len(container.parts) - 1)
    return escape(container.key)


def _get_child(item: Item, name: str) -> Item | None:
    if isinstance(item, int):
        return None
    if isinstance(item.parts, dict):
        return item.parts.get(name)
    index = int(name) if INDEX.fullmatch(name) else len(item.parts)
    return item.parts[index] if index < len(item.parts) else None
