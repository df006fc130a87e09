"""Parse tokens from the lexer into nodes for `evaluate`; functions and pipes are resolved here.

Depth is bounded, so hostile input cannot overflow the stack. Replay-sensitive.
"""

from typing import Any

from orchestrator.errors import ConditionError, TemplateSyntaxError
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.functions import FUNCTIONS
from orchestrator.language.lexer import Token, make_syntax_error, tokenize, unquote
from orchestrator.language.nodes import Call, List, Literal, Node, Object, Path, Piped
from orchestrator.language.pipes import PIPES

MAX_DEPTH = 16
"""Nested calls, lists and objects."""
MAX_PARTS = 64
"""Functions and pipes in one expression."""
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
            found = repr(token.text) if token.text else "the end"
            raise self.make_error(token, f"expected {wanted}, found {found}")
        return self.take()

    def parse_expression(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.make_error(self.token, f"expressions are nested deeper than {MAX_DEPTH} levels")
        node = self.parse_primary(depth)
        while self.accept("|"):
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
                return self.parse_list(depth)
            case "symbol" if token.text == "{":
                return self.parse_object(depth)
            case _:
                found = repr(token.text) if token.text else "nothing"
                raise self.make_error(token, f"expected a value, found {found}")

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
        parts = self.parse_parts()
        return Path(token.text, parts, self.accept("?"), token.offset)

    def parse_parts(self) -> tuple[str | int, ...]:
        found: list[str | int] = []
        while True:
            if self.accept("."):
                token = self.take()
                if token.kind == "number" and token.text.replace(".", "").isdigit():
                    found.extend(token.text.split("."))
                elif token.kind == "name":
                    found.append(token.text)
                else:
                    raise self.make_error(token, "expected a name after `.`", 'quote other keys: a["odd key"]')
            elif self.accept("["):
                found.append(self.parse_index())
                self.expect("symbol", "]")
            else:
                return tuple(found)

    def parse_index(self) -> str | int:
        token = self.take()
        if token.kind == "string":
            return unquote(token.text)
        if token.kind == "number":
            value = self.parse_number(token)
            if isinstance(value, int):
                return value
        raise self.make_error(token, "expected a whole number or a quoted key in `[ ]`")

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
                raise self.make_error(self.token, "expected `,` or `}`")

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
                raise self.make_error(self.token, f"expected `,` or `{closing}`")

    def parse_call(self, token: Token, depth: int) -> Node:
        self.expect("symbol", "(")
        arguments = self.parse_items(")", depth)
        self.check_entry(token, FUNCTIONS, "function", len(arguments))
        return Call(token.text, arguments, token.offset)

    def parse_pipe(self, subject: Node, depth: int) -> Node:
        token = self.expect("name", "")
        arguments = self.parse_items(")", depth) if self.accept("(") else ()
        self.check_entry(token, PIPES, "pipe", len(arguments))
        self.check_arguments(token, arguments)
        return Piped(subject, token.text, arguments, token.offset)

    def check_arguments(self, token: Token, arguments: tuple[Node, ...]) -> None:
        """Check the arguments of a pipe when the template is parsed, not in the middle of a run."""
        check = PIPES[token.text].check
        if check is None:
            return
        try:
            check(arguments)
        except ConditionError as error:
            raise self.make_error(token, f"`{token.text}`: {error.message}", error.hint) from None

    def check_entry(self, token: Token, table: Any, what: str, count: int) -> None:
        self.part_count += 1
        if self.part_count > MAX_PARTS:
            raise self.make_error(token, f"more than {MAX_PARTS} functions and pipes in one expression")
        entry = table.get(token.text)
        if entry is None:
            hint = did_you_mean(token.text, table) or f"known {what}s: {join_names(sorted(table))}"
            raise self.make_error(token, f"unknown {what} `{token.text:.60}`", hint)
        low, high = entry.arguments
        if not low <= count <= high:
            wanted = (str(low) if low else "no") if low == high else f"{low} or {high}"
            plural = "" if wanted == "1" else "s"
            message = f"`{token.text}` takes {wanted} argument{plural}, not {count}"
            raise self.make_error(token, message, f"{entry.signature}, as in {entry.example}")
