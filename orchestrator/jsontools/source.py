"""Parse JSON with positions: of syntax errors, of duplicate keys and of JSON Pointers.

No I/O here. The standard library parses the text; positions are computed only on request.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from orchestrator.errors import OrchestratorError, Problem
from orchestrator.jsontools.json_values import is_deeper
from orchestrator.jsontools.positions import Container, Layout, Lines, Position

# Possessive quantifiers: no backtracking, and long strings need no backtracking stack.
TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')
BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]]')
TOO_LARGE = re.compile(r"(?<!\d)\d{400,}+|\d[eE]\+?\d{3,}+")
TOO_DEEP = "the text is nested too deeply"
TRAILING_COMMA = ("trailing comma after the last entry", "remove the comma")
SLIPS = {
    "//": "JSON has no comments",
    "/*": "JSON has no comments",
    "#": "JSON has no comments",
    "'": "JSON uses double quotes for text",
}
LONE_SURROGATE = re.compile(r"\\u[dD][89abAB]\w\w(?!\\u[dD][c-fC-F]\w\w)|(?<!\\u[dD][89abAB]\w\w)\\u[dD][c-fC-F]\w\w")


class JsonSyntaxError(OrchestratorError):
    """The text is not JSON."""

    code = "json_syntax"

    def __init__(self, message: str, position: Position, line: str, hint: str | None = None) -> None:
        self.position = position
        self.line = line
        """The text of the line, truncated."""
        super().__init__(message, where=f"{position.line}:{position.column}", hint=hint)


@dataclass(frozen=True)
class Source:
    """A text, its JSON value and the positions in it."""

    text: str
    value: Any
    repeated: str | None = None
    """The first duplicate key, if there is one."""
    layout: Layout | None = None
    """The positions of a text that is not JSON."""

    def locate(self, pointer: str) -> Position:
        """Return the position of a JSON Pointer, or of the closest parent that exists."""
        return self._lines.locate(self._scan.find_offset(pointer))

    def find_duplicates(self) -> list[Problem]:
        """Return a problem for each duplicate key, at most 100: JSON parsers silently keep the last one."""
        if self.repeated is None:
            return []
        return [
            Problem(
                "error",
                "duplicate_key",
                pointer,
                f"duplicate key; the first one is in line {self._lines.locate(first).line}",
                "remove one of them; only the last one would be used",
            )
            for pointer, first in self._scan.duplicates
        ]

    @cached_property
    def _scan(self) -> Layout:
        return _scan(self.text) if self.layout is None else self.layout

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.text)


def parse_json(text: str, max_depth: int | None = None) -> Source:
    """Parse a JSON text, nested at most `max_depth` levels; raises JsonSyntaxError."""
    repeated: str | None = None

    def collect_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        result = dict(pairs)
        if repeated is None and len(result) != len(pairs):
            repeated = _find_repeated(pairs)
        return result

    def refuse_constant(name: str) -> NoReturn:
        _refuse(text, text.find(name), f"{name} is not a JSON value")

    try:
        value = json.loads(text, object_pairs_hook=collect_members, parse_constant=refuse_constant)
        # The parser accepts lone surrogates and numbers beyond a double; neither can be encoded again.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        _refuse_syntax(text, error)
    except RecursionError:
        _refuse_depth(text, max_depth)
    except UnicodeEncodeError:
        match = LONE_SURROGATE.search(text)
        _refuse(text, match.start() if match else 0, "half of a surrogate pair is not a character")
    except ValueError:
        match = TOO_LARGE.search(text)
        _refuse(text, match.start() if match else 0, "a number is too large")
    if max_depth is not None and is_deeper(value, max_depth):
        _refuse_depth(text, max_depth)
    return Source(text, value, repeated)


def _find_repeated(pairs: list[tuple[str, Any]]) -> str:
    counted = Counter(key for key, _ in pairs)
    return next(key for key, count in counted.items() if count > 1)


def _refuse_depth(text: str, limit: int | None) -> NoReturn:
    if limit is None:
        _refuse(text, 0, TOO_DEEP)
    depth = 0
    for match in BRACKET.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match.group(), 0)
        if depth > limit:
            _refuse(text, match.start(), f"{TOO_DEEP}: the maximum is {limit} levels")
    _refuse(text, 0, TOO_DEEP)


def _refuse(text: str, offset: int, message: str, hint: str | None = None) -> NoReturn:
    lines = Lines(text)
    raise JsonSyntaxError(message, lines.locate(offset), lines.get_line(offset), hint) from None


def _refuse_syntax(text: str, error: json.JSONDecodeError) -> NoReturn:
    """Raise JsonSyntaxError with a better message than the library's for common mistakes."""
    before = text[: error.pos].rstrip()
    at = text[error.pos : error.pos + 2]
    if not text.strip():
        _refuse(text, 0, "the text is empty")
    if error.msg.startswith("Illegal trailing comma"):  # Python 3.13 reports the comma, 3.11 what follows it
        _refuse(text, error.pos, *TRAILING_COMMA)
    if before.endswith(",") and at[:1] in ("}", "]"):
        _refuse(text, len(before) - 1, *TRAILING_COMMA)
    hint = next((hint for start, hint in SLIPS.items() if at.startswith(start)), None)
    if error.msg.startswith("Extra data"):
        hint = "a file contains a single JSON value"
    _refuse(text, error.pos, error.msg[0].lower() + error.msg[1:], hint)


def _tokenize(text: str) -> Iterator[tuple[str, int]]:
    return ((match.group(), match.start()) for match in TOKEN.finditer(text))


def _scan(text: str) -> Layout:
    """Scan a text that is known to be JSON; without recursion, so that any depth works."""
    layout, stack = Layout(), list[Container]()
    wants_key = False
    for symbol, offset in _tokenize(text):
        if symbol in "}]":
            stack.pop()
            wants_key = False
        elif symbol == ",":
            wants_key = isinstance(stack[-1].parts, dict)
        elif symbol == ":":
            continue
        elif wants_key:
            stack[-1].key = json.loads(symbol)
            layout.record_repeat(stack)
            wants_key = False
        elif symbol in "{[":
            container = Container(offset, {} if symbol == "{" else [])
            layout.put(stack, container)
            stack.append(container)
            wants_key = symbol == "{"
        else:
            layout.put(stack, offset)
    return layout
