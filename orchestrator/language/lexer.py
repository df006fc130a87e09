"""Split a template into text and expressions, and an expression into tokens for the parser.

Linear in the length of the source. Replay-sensitive.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from orchestrator.errors import TemplateSyntaxError
from orchestrator.language.other_languages import suggest_symbol

MAX_TEMPLATE_LENGTH = 262_144
"""Maximum characters of a template."""

Kind = Literal["name", "number", "string", "symbol", "end"]

NAME = re.compile(r"[^\W\d][\w-]*")
TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w])
      | (?P<name>[^\W\d][\w-]*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<symbol>\?\?|[=!<>]=(?!=)|<(?!>)|\|(?!\|)|\*(?!\*)|/(?!/)|[-+%>.()\[\]{}:,?])
    )""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an expression."""

    kind: Kind
    text: str
    offset: int
    """Index in the whole template, from 0."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: plain text, or the inside of `{{ }}`."""

    text: str
    offset: int
    is_expression: bool


def locate(source: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1."""
    starts = _find_line_starts(source)
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


@lru_cache(16)
def _find_line_starts(source: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in re.finditer("\n", source)))


def make_syntax_error(source: str, offset: int, message: str, hint: str | None = None) -> TemplateSyntaxError:
    """Return an error with its line and column."""
    line, column = locate(source, offset)
    return TemplateSyntaxError(message, source=source, line=line, column=column, hint=hint)


def split_template(source: str) -> list[Piece]:
    """Split a template at its `{{ }}`; quoted text inside may contain braces."""
    if len(source) > MAX_TEMPLATE_LENGTH:
        raise TemplateSyntaxError(f"the template is longer than {MAX_TEMPLATE_LENGTH:,} characters")
    found: list[Piece] = []
    at = 0
    while (start := source.find("{{", at)) >= 0:
        if start > at:
            found.append(Piece(source[at:start], at, is_expression=False))
        end = _find_closing(source, start)
        found.append(Piece(source[start + 2 : end], start + 2, is_expression=True))
        at = end + 2
    if at < len(source):
        found.append(Piece(source[at:], at, is_expression=False))
    return found


BRACES = re.compile(r"""\{\{|[{}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|["']""", re.DOTALL)


def _find_closing(source: str, start: int) -> int:
    """Return the offset of the `}}` that closes an expression; braces of object literals come in pairs."""
    depth = 0
    for match in BRACES.finditer(source, start + 2):
        match match.group():
            case '"' | "'":
                raise make_syntax_error(source, match.start(), "the quote is never closed")
            case "{{":
                break
            case "{":
                depth += 1
            case "}" if depth:
                depth -= 1
            case "}" if source.startswith("}}", match.start()):
                return match.start()
    raise make_syntax_error(source, start, "`{{` is never closed", "close it with `}}`")


def tokenize(source: str, text: str, offset: int) -> list[Token]:
    """Return the tokens of the expression at `offset` of the source."""
    found: list[Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            stripped = at + len(text[at:]) - len(text[at:].lstrip())
            hint = suggest_symbol(text, stripped)
            raise make_syntax_error(source, offset + stripped, f"unexpected {text[stripped]!r}", hint)
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups of TOKEN are the kinds
        found.append(Token(kind, match.group(kind), offset + match.start(kind)))
        at = match.end()
    found.append(Token("end", "", offset + end))
    return found


def unquote(text: str) -> str:
    """Return the text of a string literal."""

    def replace(match: "re.Match[str]") -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else ESCAPES.get(code, code)

    said = ESCAPE.sub(replace, text[1:-1])
    # \ud83d\ude00 is one character, as in JSON; half of a pair cannot be encoded
    return said if said.isascii() else said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
