"""Read JSON so that faults can be shown where they stand: syntax errors, keys given twice, JSON Pointers.

No I/O here. The text is parsed by the standard library; positions are found only when somebody asks.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from orchestrator.errors import OrchestratorError, Problem

MAX_SHOWN = 100
"""Characters of a line that an error shows."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
TRAILING_COMMA = ("a comma stands after the last entry", "remove the comma")
SLIPS = {
    "//": "JSON has no comments",
    "/*": "JSON has no comments",
    "#": "JSON has no comments",
    "'": "JSON writes text in double quotes",
}
LONE_SURROGATE = re.compile(r"\\u[dD][89abAB]\w\w(?!\\u[dD][c-fC-F]\w\w)|(?<!\\u[dD][89abAB]\w\w)\\u[dD][c-fC-F]\w\w")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text, both counted from 1; the column in characters."""

    line: int
    column: int


class JsonSyntaxError(OrchestratorError):
    """The text is not JSON."""

    code = "json_syntax"

    def __init__(self, message: str, position: Position, line: str, hint: str | None = None) -> None:
        self.position = position
        self.line = line
        """The line itself, cut to what fits."""
        super().__init__(message, where=f"{position.line}:{position.column}", hint=hint)


@dataclass(frozen=True)
class Source:
    """A JSON text, what it says and where it says it."""

    text: str
    value: Any
    repeats: bool = False
    """Some object names a key twice."""

    def position(self, pointer: str) -> Position:
        """Find a JSON Pointer; of what is not there, the nearest thing around it."""
        offsets = self._scan.offsets
        while pointer not in offsets and pointer:
            pointer = pointer.rpartition("/")[0]
        return self._lines.position(offsets.get(pointer, 0))

    def duplicates(self) -> list[Problem]:
        """Name every key that stands twice in one object: JSON keeps the last, silently."""
        if not self.repeats:
            return []
        return [
            Problem(
                "error",
                "duplicate_key",
                pointer,
                f"this key is given twice in one object, first in line {self._lines.position(first).line}",
                "only the last one would count: remove one",
            )
            for pointer, first in self._scan.duplicates
        ]

    @cached_property
    def _scan(self) -> "_Scan":
        return _scan(self.text)

    @cached_property
    def _lines(self) -> "_Lines":
        return _Lines(self.text)


def read(text: str) -> Source:
    """Parse a JSON text; raises JsonSyntaxError."""
    repeats = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        made = dict(pairs)
        repeats = repeats or len(made) != len(pairs)
        return made

    def constant(name: str) -> NoReturn:
        _refuse(text, text.find(name), f"{name} is no JSON value")

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
        # What JSON lets through and nothing can send on: lone surrogates, numbers beyond a double.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        _refuse_syntax(text, error)
    except RecursionError:
        _refuse(text, 0, "the text is nested too deeply")
    except UnicodeEncodeError:
        found = LONE_SURROGATE.search(text)
        _refuse(text, found.start() if found else 0, "half of a surrogate pair is no character")
    except ValueError as error:
        found = re.search(r"\d{400,}|\d[eE]\+?\d{3,}", text)
        _refuse(text, found.start() if found else 0, f"a number is too large: {error}")
    return Source(text, value, repeats)


def _refuse(text: str, offset: int, message: str, hint: str | None = None) -> NoReturn:
    lines = _Lines(text)
    raise JsonSyntaxError(message, lines.position(offset), lines.shown(offset), hint) from None


def _refuse_syntax(text: str, error: json.JSONDecodeError) -> NoReturn:
    """Say it better than the library for the usual slips."""
    before = text[: error.pos].rstrip()
    at = text[error.pos : error.pos + 2]
    if not text.strip():
        _refuse(text, 0, "the text is empty")
    if error.msg.startswith("Illegal trailing comma"):  # Python 3.13 stands on the comma, 3.11 behind it
        _refuse(text, error.pos, *TRAILING_COMMA)
    if before.endswith(",") and at[:1] in ("}", "]"):
        _refuse(text, len(before) - 1, *TRAILING_COMMA)
    hint = next((hint for start, hint in SLIPS.items() if at.startswith(start)), None)
    if error.msg.startswith("Extra data"):
        hint = "one file holds one JSON value"
    _refuse(text, error.pos, error.msg[0].lower() + error.msg[1:], hint)


class _Lines:
    """Where lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def position(self, offset: int) -> Position:
        row = bisect_right(self.starts, offset) - 1
        return Position(row + 1, offset - self.starts[row] + 1)

    def shown(self, offset: int) -> str:
        """Give the line around an offset."""
        start = self.starts[bisect_right(self.starts, offset) - 1]
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else None].rstrip("\r")
        return line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + "…"


@dataclass(slots=True)
class _Scan:
    offsets: dict[str, int] = field(default_factory=dict)
    duplicates: list[tuple[str, int]] = field(default_factory=list)
    """`(pointer, offset of the first key)`."""


@dataclass(slots=True)
class _Container:
    pointer: str
    keys: dict[str, int] | None
    """Offsets of an object's keys, by pointer; `None` for a list."""
    index: int = 0
    child: str = ""
    """Pointer of the value that comes next."""


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    return ((match.group(), match.start()) for match in TOKEN.finditer(text))


def _scan(text: str) -> _Scan:
    """Walk a text that is known to be JSON; without recursion, so that depth is no matter."""
    scan, stack = _Scan(), list[_Container]()
    wants_key = False
    for word, offset in _tokens(text):
        top = stack[-1] if stack else None
        if word in "}]":
            stack.pop()
            wants_key = False
        elif word == ",":
            wants_key = top is not None and top.keys is not None
            _advance(top)
        elif word == ":":
            continue
        elif wants_key and top is not None and top.keys is not None:
            top.child = f"{top.pointer}/{json.loads(word).replace('~', '~0').replace('/', '~1')}"
            _note(scan, top, top.keys, offset)
            wants_key = False
        else:
            pointer = top.child if top else ""
            scan.offsets[pointer] = offset
            if word in "{[":
                stack.append(_Container(pointer, {} if word == "{" else None, child=f"{pointer}/0"))
                wants_key = word == "{"
    return scan


def _advance(container: _Container | None) -> None:
    if container is not None and container.keys is None:
        container.index += 1
        container.child = f"{container.pointer}/{container.index}"


def _note(scan: _Scan, container: _Container, keys: dict[str, int], offset: int) -> None:
    if container.child in keys:
        scan.duplicates.append((container.child, keys[container.child]))
    keys.setdefault(container.child, offset)
