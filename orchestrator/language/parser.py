"""Parse tokens from the lexer into nodes for `evaluate`; functions, pipes and operators are resolved here.

    expression  = binary
    binary      = unary { operator unary }                precedence as in the table of `arithmetic`
    unary       = "not" binary | "-" unary | piped
    piped       = value { "|" name [ "(" expressions ")" ] }
    value       = path | literal | call | list | object | "(" expression ")" , then { "." name | "[" expression "]" }

A pipe takes the value in front of it. After arithmetic that could mean two things, so `a + b | round` is an error that
asks for parentheses; so is `a ?? b + 1`.

Depth is bounded, so hostile input cannot overflow the stack. Replay-sensitive.
"""

from dataclasses import replace
from itertools import takewhile
from typing import Any

from orchestrator.errors import ConditionError, TemplateSyntaxError
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language import other_languages
from orchestrator.language.arithmetic import COALESCE, COMPARISON, INFIX, NOT, OR, Infix
from orchestrator.language.functions import FUNCTIONS
from orchestrator.language.lexer import Token, make_syntax_error, tokenize, unquote
from orchestrator.language.nodes import (
    Binary,
    Call,
    Index,
    List,
    Literal,
    Node,
    Object,
    Path,
    Piped,
    Unary,
    mark_optional,
)
from orchestrator.language.pipes import PIPES

MAX_DEPTH = 16
"""Nested calls, parentheses, lists and objects."""
MAX_PARTS = 64
"""Functions, pipes and operators in one expression."""
CONSTANTS = {"true": True, "false": False, "null": None}


def parse(source: str, text: str, offset: int) -> Node:
    """Parse the expression at `offset` of the source; raises TemplateSyntaxError."""
    parser = _Parser(source, tokenize(source, text, offset))
    node = parser.parse_expression(0)
    parser.expect("end", "")
    return node


class _Parser:
    """Recursive descent over the tokens, once."""

    def __init__(self, source: str, found: list[Token]) -> None:
        self.source = source
        self.tokens = found
        self.at = 0
        self.part_count = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def make_error(self, token: Token, message: str, hint: str | None = None) -> TemplateSyntaxError:
        return make_syntax_error(self.source, token.offset, message, hint)

    def accept(self, text: str) -> bool:
        if self.token.kind == "symbol" and self.token.text == text:
            self.at += 1
            return True
        return False

    def expect(self, kind: str, text: str) -> Token:
        token = self.token
        if token.kind != kind or (text and token.text != text):
            wanted = repr(text) if text else {"end": "the end", "name": "a name"}.get(kind, kind)
            raise self.make_unexpected(wanted)
        return self.take()

    def make_unexpected(self, wanted: str) -> TemplateSyntaxError:
        """Return an error for the present token, with a hint where people of other languages mean something by it."""
        token = self.token
        found = repr(token.text) if token.text else "the end"
        return self.make_error(token, f"expected {wanted}, found {found}", self.suggest_instead(token))

    def suggest_instead(self, token: Token) -> str | None:
        if token.kind == "name":
            return other_languages.suggest_word(token.text)
        if token.text.startswith("-"):
            return other_languages.MINUS
        previous = self.tokens[self.at - 1] if self.at else token
        if token.text == "(" and previous.kind == "name":
            return _suggest_pipe(previous.text)
        return {"?": other_languages.CONDITIONAL, ":": other_languages.SLICE}.get(token.text)

    def parse_expression(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.make_error(self.token, f"expressions are nested deeper than {MAX_DEPTH} levels")
        return self.parse_binary(OR, depth)

    def parse_binary(self, minimum: int, depth: int, after: str = "") -> Node:
        """Parse operators that bind at least as tightly as `minimum`; `after` is the arithmetic operator in front."""
        left = self.parse_unary(minimum, depth, after)
        last = INFIX.get(after)
        while (infix := self.peek_infix()) is not None and infix.precedence >= minimum:
            self.check_mix(infix, last)
            token = self.take()
            self.count_part(token)
            right = self.parse_binary(infix.precedence + 1, depth, infix.symbol if infix.precedence >= COALESCE else "")
            left, last = Binary(infix.symbol, left, right, token.offset), infix
        return left

    def peek_infix(self) -> Infix | None:
        token = self.token
        if token.kind == "name":
            return INFIX.get(token.text)
        if token.kind != "symbol" or (token.text == "-" and not self.has_spaces(token)):
            return None
        return INFIX.get(token.text)

    def has_spaces(self, token: Token) -> bool:
        around = self.source[token.offset - 1 : token.offset] + self.source[token.offset + 1 : token.offset + 2]
        return around.isspace() and len(around) == 2

    def check_mix(self, infix: Infix, last: Infix | None) -> None:
        """Refuse an operator whose meaning after another one would be a guess."""
        if last is None:
            return
        if infix.precedence == last.precedence == COMPARISON:
            raise self.make_error(self.token, "comparisons cannot be chained", "write `a < b and b < c`")
        if (infix.symbol == "??") != (last.symbol == "??") and min(infix.precedence, last.precedence) == COALESCE:
            message = f"`{last.symbol}` and `{infix.symbol}` together need parentheses"
            raise self.make_error(self.token, message, "write `(a ?? 0) + b` or `a + (b ?? 0)`")

    def parse_unary(self, minimum: int, depth: int, after: str) -> Node:
        token = self.token
        if token.kind == "name" and token.text == "not" and self.tokens[self.at + 1].text not in (".", "["):
            if minimum > NOT:
                raise self.make_error(token, "`not` needs parentheses here", "write `(not x)`")
            self.count_part(self.take())
            return Unary("not", self.parse_binary(NOT, depth), token.offset)
        if token.kind == "symbol" and token.text == "-":
            self.count_part(self.take())
            return Unary("-", self.parse_unary(COALESCE, depth, "-"), token.offset)
        return self.parse_piped(depth, after)

    def parse_piped(self, depth: int, after: str) -> Node:
        node = self.parse_primary(depth)
        while self.token.kind == "symbol" and self.token.text == "|":
            if after:
                name = self.tokens[self.at + 1].text
                hint = f"write `(a {after} b) | {name}` or `a {after} (b | {name})`"
                raise self.make_error(self.token, f"a pipe after `{after}` needs parentheses", hint)
            self.take()
            node = self.parse_pipe(node, depth)
        return node

    def parse_primary(self, depth: int) -> Node:
        token = self.token
        match token.kind:
            case "string":
                return Literal(unquote(self.take().text))
            case "number":
                return Literal(self.parse_number(self.take()))
            case "name":
                return self.parse_name(depth)
            case "symbol" if token.text == "[":
                return self.parse_parts(self.parse_list(depth), depth)
            case "symbol" if token.text == "{":
                return self.parse_parts(self.parse_object(depth), depth)
            case "symbol" if token.text == "(":
                return self.parse_parts(self.parse_group(depth), depth)
            case _:
                found = repr(token.text) if token.text else "nothing"
                raise self.make_error(token, f"expected a value, found {found}")

    def parse_group(self, depth: int) -> Node:
        self.expect("symbol", "(")
        node = self.parse_expression(depth + 1)
        self.expect("symbol", ")")
        return node

    def parse_number(self, token: Token) -> int | float:
        try:
            value = float(token.text) if any(c in token.text for c in ".eE") else int(token.text)
        except ValueError:
            raise self.make_error(token, "the number has too many digits") from None
        if value in (float("inf"), float("-inf")):
            raise self.make_error(token, "the number is too large")
        return value

    def parse_name(self, depth: int) -> Node:
        token = self.take()
        if self.token.text == "(" and self.token.kind == "symbol":
            return self.parse_call(token, depth)
        if token.text in CONSTANTS and self.token.text not in (".", "["):
            return Literal(CONSTANTS[token.text])
        if token.text in INFIX:
            raise self.make_error(token, f"expected a value, found {token.text!r}")
        return self.parse_parts(Path(token.text, (), False, token.offset), depth)

    def parse_parts(self, subject: Node, depth: int) -> Node:
        """Parse `.name`, `[key]` and `?` after a value."""
        keys: list[Node] = []
        offset = self.token.offset
        while True:
            if self.accept("."):
                keys.extend(self.parse_member())
            elif self.accept("["):
                keys.append(self.parse_key(depth))
                self.expect("symbol", "]")
            else:
                break
        node = _add_keys(subject, keys, offset)
        mark = self.token
        if isinstance(node, Path | Index) and self.accept("?"):
            self.check_mark(mark)
            return mark_optional(node)
        return node

    def parse_member(self) -> list[Node]:
        token = self.take()
        if token.kind == "number" and token.text.replace(".", "").isdigit():
            return [Literal(part) for part in token.text.split(".")]
        if token.kind != "name":
            raise self.make_error(token, "expected a name after `.`", 'quote other keys: a["odd key"]')
        return [Literal(token.text)]

    def parse_key(self, depth: int) -> Node:
        token = self.token
        key = self.parse_expression(depth + 1)
        if isinstance(key, Literal) and type(key.value) not in (int, str):
            raise self.make_error(token, "expected a whole number or a quoted key in `[ ]`")
        if not isinstance(key, Literal):
            self.count_part(token)
        return key

    def check_mark(self, mark: Token) -> None:
        """Refuse `x ? y : z` and `a?.b`, which look like a path that is marked with `?`."""
        token = self.token
        if token.kind == "symbol" and token.text == ".":
            raise self.make_error(
                mark, "`?.` is not an operator", "write `a.b`: what is missing is null; `a.b?` in strict mode"
            )
        if (
            token.kind in ("string", "number")
            or token.text in ("(", "[", "{", "-")
            or (token.kind == "name" and token.text not in INFIX)
        ):
            raise self.make_error(mark, "there is no `x ? y : z`", other_languages.CONDITIONAL)

    def parse_list(self, depth: int) -> Node:
        opening = self.expect("symbol", "[")
        return List(self.parse_items("]", depth), opening.offset)

    def parse_object(self, depth: int) -> Node:
        opening = self.expect("symbol", "{")
        entries: dict[str, Node] = {}
        if self.accept("}"):
            return Object((), opening.offset)
        while True:
            token = self.token
            if token.kind != "string":
                raise self.make_error(token, "expected a quoted key", 'write objects as {"a": 1}')
            key = unquote(self.take().text)
            if key in entries:
                raise self.make_error(token, f"the key {key!r:.60} appears twice")
            self.expect("symbol", ":")
            entries[key] = self.parse_expression(depth + 1)
            if self.accept("}"):
                return Object(tuple(entries.items()), opening.offset)
            if not self.accept(","):
                raise self.make_unexpected("`,` or `}`")

    def parse_items(self, closing: str, depth: int) -> tuple[Node, ...]:
        """Parse the expressions between brackets: arguments, or the items of a list."""
        items: list[Node] = []
        if self.accept(closing):
            return ()
        while True:
            items.append(self.parse_expression(depth + 1))
            if self.accept(closing):
                return tuple(items)
            if not self.accept(","):
                raise self.make_unexpected(f"`,` or `{closing}`")

    def parse_call(self, token: Token, depth: int) -> Node:
        self.expect("symbol", "(")
        arguments = self.parse_items(")", depth)
        self.check_entry(token, FUNCTIONS, "function", len(arguments))
        return Call(token.text, arguments, token.offset)

    def parse_pipe(self, subject: Node, depth: int) -> Node:
        token = self.expect("name", "")
        arguments = self.parse_items(")", depth) if self.accept("(") else ()
        self.check_entry(token, PIPES, "pipe", len(arguments))
        self.check_arguments(token, subject, arguments)
        return Piped(subject, token.text, arguments, token.offset)

    def check_arguments(self, token: Token, subject: Node, arguments: tuple[Node, ...]) -> None:
        """Check the arguments of a pipe when the template is parsed, not in the middle of a run."""
        check = PIPES[token.text].check
        if check is None:
            return
        try:
            check(subject, arguments)
        except ConditionError as error:
            raise self.make_error(token, f"`{token.text}`: {error.message}", error.hint) from None

    def count_part(self, token: Token) -> None:
        self.part_count += 1
        if self.part_count > MAX_PARTS:
            raise self.make_error(token, f"more than {MAX_PARTS} functions, pipes and operators in one expression")

    def check_entry(self, token: Token, table: Any, what: str, count: int) -> None:
        self.count_part(token)
        entry = table.get(token.text)
        if entry is None:
            other = _suggest_pipe(token.text) if table is FUNCTIONS else _suggest_call(token.text)
            hint = other or did_you_mean(token.text, table) or f"known {what}s: {join_names(sorted(table))}"
            raise self.make_error(token, f"unknown {what} `{token.text:.60}`", hint)
        low, high = entry.arguments
        if not low <= count <= high:
            wanted = (str(low) if low else "no") if low == high else f"{low} or {high}"
            plural = "" if wanted == "1" else "s"
            message = f"`{token.text}` takes {wanted} argument{plural}, not {count}"
            raise self.make_error(token, message, f"{entry.signature}, as in {entry.example}")


def _suggest_pipe(name: str) -> str | None:
    """Return a hint for a function or method that is a pipe here."""
    pipe = name if name in PIPES else other_languages.PIPES.get(name)
    return None if pipe is None else f"write `x | {PIPES[pipe].signature}`"


def _suggest_call(name: str) -> str | None:
    """Return a hint for a pipe that is a function, or has another name here."""
    if name in FUNCTIONS:
        return f"write `{FUNCTIONS[name].signature}`"
    return _suggest_pipe(name)


def _add_keys(subject: Node, keys: list[Node], offset: int) -> Node:
    """Return the part of a value under some keys; a path takes those in front that are constant into itself."""
    if not keys:
        return subject
    if not isinstance(subject, Path):
        return Index(subject, tuple(keys), False, offset)
    constants = list(takewhile(lambda key: isinstance(key, Literal), keys))
    parts = tuple(key.value for key in constants if isinstance(key, Literal))
    path = replace(subject, parts=subject.parts + parts)  # `(a.b).c` has a part in its parentheses
    computed = tuple(keys[len(constants) :])
    return Index(path, computed, False, offset) if computed else path
