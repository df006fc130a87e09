"""Templates: strings with expressions in them, and JSON values made of such strings. Replay-sensitive."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeGuard, assert_never

from orchestrator.errors import EvaluationError, TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.language.costs import CHARACTER, EXPRESSION, TEXT
from orchestrator.language.env import Env
from orchestrator.language.evaluate import Evaluate, compile_lookup, compile_node, measure_cost
from orchestrator.language.functions import APPROVAL_LINK
from orchestrator.language.lexer import Piece, locate, make_syntax_error, split_template
from orchestrator.language.nodes import (
    Binary,
    Call,
    Index,
    List,
    Literal,
    Name,
    Node,
    Object,
    Path,
    Piped,
    Unary,
    mark_optional,
)
from orchestrator.language.parser import parse
from orchestrator.language.pipes import PIPES
from orchestrator.language.values import MAX_TEXT_LENGTH, MISSING, require_shallow, to_text
from orchestrator.model.run import format_timestamp

MAX_NESTING = 100
"""Nested lists and objects in a value."""
CACHED_TEMPLATES = 16_384
NO_CONTAINER = "all secrets together cannot be used"
LINK_EXAMPLE = 'such as {{ approval_link("decision", input.manager) }}'


class Template:
    """A compiled string. `render(env)` returns its value; it does not count `cost`, which is the same each time."""

    __slots__ = ("_lookup", "_parts", "builds", "cost", "is_constant", "names", "render", "source", "uses_secrets")

    render: Evaluate

    def __init__(self, source: str, pieces: list[Piece]) -> None:
        self.source = source
        nodes = [parse(source, piece.text, piece.offset) if piece.is_expression else None for piece in pieces]
        names: list[Name] = []
        for node in nodes:
            if node is not None:
                names.extend(_collect_names(node, source))
        self.names = frozenset(names)
        self.uses_secrets = any(name.root == "secrets" for name in names) or any(map(_is_link, nodes))
        """Whether only the worker can render it: it has a secret or a link that nobody else may see."""
        self.is_constant = not any(piece.is_expression for piece in pieces)
        self._parts = [
            (piece.text, None if node is None else compile_node(node, source), node)
            for piece, node in zip(pieces, nodes, strict=True)
        ]
        only = nodes[0] if len(nodes) == 1 else None
        self._lookup = None if only is None else compile_lookup(only, source)
        self.render = self._make_renderer()
        self.cost = TEXT + sum(EXPRESSION + measure_cost(node) for node in nodes if node is not None)
        self.builds = any(_builds(node) for node in nodes if node is not None)
        """Whether the value may be nested deeper than all values that it reads."""

    @property
    def expressions(self) -> list[Node]:
        """Return the syntax tree of each `{{ … }}`, in order."""
        return [node for _, _, node in self._parts if node is not None]

    @property
    def pieces(self) -> list[str | Node]:
        """Return the texts, and the syntax tree of each `{{ … }}`, in order."""
        return [text if node is None else node for text, _, node in self._parts]

    @property
    def links(self) -> list[Call]:
        """Return the calls of `approval_link`."""
        return [node for _, _, node in self._parts if _is_link(node)]

    @property
    def pipes_secrets(self) -> bool:
        """Return whether pipes are applied to a secret."""
        return any(
            node is not None
            and not _is_plain_secret(node)
            and any(name.root == "secrets" for name in _collect_names(node, self.source))
            for _, _, node in self._parts
        )

    @property
    def is_path(self) -> bool:
        """Return whether this is a single path."""
        return self._lookup is not None

    @property
    def is_expression(self) -> bool:
        """Return whether this is a single `{{ … }}`."""
        return len(self._parts) == 1 and not self.is_constant

    def find(self, env: Env) -> Any:
        """Return the value, or `MISSING` for a single path that leads to nothing."""
        return self.render(env) if self._lookup is None else self._lookup(env)

    def _make_renderer(self) -> Evaluate:
        parts = [(text, evaluate) for text, evaluate, _ in self._parts]
        if self.is_constant:
            source = self.source
            return lambda env: source
        if len(parts) == 1 and parts[0][1] is not None:
            return parts[0][1]

        def render(env: Env) -> str:
            texts: list[str] = []
            length = 0
            for text, evaluate in parts:
                texts.append(text if evaluate is None else to_text(evaluate(env), env.spend))
                length += len(texts[-1])
                if length > MAX_TEXT_LENGTH:
                    raise EvaluationError(f"the text is longer than {MAX_TEXT_LENGTH:,} characters")
            env.spend(CHARACTER * length)
            return "".join(texts)

        return render

    def render_deferred(self, env: Env) -> list[Any]:
        """Return the parts: rendered text, or what the worker inserts.

        `{"secret": name}` is the value of a secret, `{"expression": …}` the result of pipes on one,
        `{"approval_link": …}` a link that has to be signed.
        """
        parts: list[Any] = []
        for text, evaluate, node in self._parts:
            if evaluate is None or node is None:
                parts.append(text)
            elif _is_plain_secret(node):
                parts.append({"secret": node.parts[0]})
            elif _is_link(node):
                parts.append({APPROVAL_LINK: self._render_link(node, env)})
            elif any(name.root == "secrets" for name in _collect_names(node, self.source)):
                parts.append({"expression": text.strip()})
            else:
                parts.append(to_text(evaluate(env), env.spend))
        return parts

    def _render_link(self, node: Call, env: Env) -> dict[str, str]:
        """Return what the link names, beside the run and the path of the step."""
        node_id, assignee = (compile_node(argument, self.source)(env) for argument in node.arguments)
        if isinstance(assignee, bool | dict | list) or assignee in (None, ""):
            raise EvaluationError("approval_link() needs the name or the address of a person", source=self.source)
        return {
            "node": str(node_id),
            "assignee": to_text(assignee, env.spend),
            "made_at": format_timestamp(env.now()),
        }


def _builds(node: Node) -> bool:
    """Return whether an expression puts values into a list or an object: `[x]`, `{{ steps }}`, `{{ steps.a }}`."""
    match node:
        case List() | Object():
            return True
        case Path(root="steps", parts=parts):
            return len(parts) < 4
        case Piped(subject=subject, name=name, arguments=arguments):
            return PIPES[name].builds or _builds(subject) or any(map(_builds, arguments))
        case Index(subject=subject):
            return _builds(subject)
        case Binary(left=left, right=right):
            return _builds(left) or _builds(right)
        case Unary():
            return False
        case Literal() | Path() | Call():
            return False
        case _:
            assert_never(node)


def _collect_names(node: Node, source: str) -> Iterator[Name]:
    """Return the paths of an expression; raises TemplateSyntaxError if it mixes secrets with other data."""
    if _is_link(node):
        _require_literal_node(node, source)
        names = list(_walk_all(node.arguments, source))
    else:
        names = list(_walk_names(node, source))
    roots = {name.root for name in names}
    if "secrets" in roots and (len(roots) > 1 or _has_call(node)):
        raise make_syntax_error(
            source, _get_offset(node), "an expression with a secret can contain only the secret and pipes"
        )
    return iter(names)


def _walk_names(node: Node, source: str) -> Iterator[Name]:
    match node:
        case Literal():
            return
        case Path():
            if node.root == "secrets" and not (node.parts and isinstance(node.parts[0], str)):
                raise make_syntax_error(source, node.offset, NO_CONTAINER, "write `secrets.` and the name of one")
            line, column = locate(source, node.offset)
            yield Name(node.root, node.parts, node.optional, line, column)
        case Piped(subject=subject, name=name, arguments=arguments):
            yield from _walk_names(mark_optional(subject) if name == "default" else subject, source)
            yield from _walk_all(arguments, source)
        case Binary(operator=operator, left=left, right=right):
            yield from _walk_all((mark_optional(left) if operator == "??" else left, right), source)
        case Call(name=name) if name == APPROVAL_LINK:
            message = "approval_link() has to be alone in its {{ }}"
            raise make_syntax_error(source, node.offset, message, LINK_EXAMPLE)
        case List(items=parts) | Call(arguments=parts):
            yield from _walk_all(parts, source)
        case Object(entries=entries):
            yield from _walk_all((item for _, item in entries), source)
        case Index(subject=subject, keys=keys):
            yield from _walk_all((subject, *keys), source)
        case Unary(operand=operand):
            yield from _walk_names(operand, source)
        case _:
            assert_never(node)


def _walk_all(nodes: Iterable[Node], source: str) -> Iterator[Name]:
    for node in nodes:
        yield from _walk_names(node, source)


def _has_call(node: Node) -> bool:
    if isinstance(node, Call | List | Object | Index | Binary | Unary):
        return True
    return isinstance(node, Piped) and (_has_call(node.subject) or any(map(_has_call, node.arguments)))


def _is_plain_secret(node: Node) -> TypeGuard[Path]:
    return isinstance(node, Path) and node.root == "secrets" and len(node.parts) == 1


def _is_link(node: Node | None) -> TypeGuard[Call]:
    return isinstance(node, Call) and node.name == APPROVAL_LINK


def _require_literal_node(node: Call, source: str) -> None:
    if not (isinstance(node.arguments[0], Literal) and isinstance(node.arguments[0].value, str)):
        message = "approval_link() takes the ID of a `wait` node in quotes"
        raise make_syntax_error(source, node.offset, message, LINK_EXAMPLE)


def _get_offset(node: Node) -> int:
    return 0 if isinstance(node, Literal) else node.offset


@lru_cache(CACHED_TEMPLATES)
def compile_template(source: str) -> Template:
    """Compile a template; raises TemplateSyntaxError with line, column and hint."""
    pieces = split_template(source)
    expressions = [piece for piece in pieces if piece.is_expression]
    # A block of YAML ends with a line break: space around a single expression does not make it a longer text.
    if len(expressions) == 1 and all(piece.is_expression or piece.text.isspace() for piece in pieces):
        pieces = expressions
    return Template(source, pieces)


@lru_cache(CACHED_TEMPLATES)
def compile_expression(source: str) -> Template:
    """Compile an expression without its `{{ }}`, such as a path."""
    return Template(source, [Piece(source, 0, is_expression=True)])


class CompiledValue:
    """A compiled JSON value with templates at any depth."""

    __slots__ = ("builds", "cost", "evaluate", "names", "uses_secrets")

    def __init__(self, value: Any) -> None:
        templates = [compile_template(text) for _, text in walk(value)]
        self.cost = sum(template.cost for template in templates)
        self.builds = any(template.builds for template in templates) or _nests(value)
        """Whether the value may be nested deeper than all values that it reads."""
        self.names: frozenset[Name] = frozenset().union(*(template.names for template in templates))
        self.uses_secrets = any(template.uses_secrets for template in templates)
        self.evaluate: Evaluate = _compile_value(value)
        """The value, as a part of another one: it counts neither `cost` nor depth."""

    def render(self, env: Env) -> Any:
        """Return the value, within a budget of its own."""
        env.meter.start_value()
        env.spend(self.cost)
        value = self.evaluate(env)
        if self.builds:
            require_shallow(value, env.spend)
        return value


class CompiledEntries:
    """A compiled object whose keys and values are used one by one, such as the variables of a `set`."""

    __slots__ = ("_entries", "cost")

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._entries = [(CompiledValue(key), CompiledValue(value)) for key, value in source.items()]
        self.cost = sum(key.cost + value.cost for key, value in self._entries)

    def render(self, env: Env) -> list[tuple[Any, Any]]:
        """Return the keys and their values, all from the same data and within one budget."""
        env.meter.start_value()
        env.spend(self.cost)
        entries = [(key.evaluate(env), value.evaluate(env)) for key, value in self._entries]
        for (_, compiled), (_, value) in zip(self._entries, entries, strict=True):
            if compiled.builds:
                require_shallow(value, env.spend)
        return entries


def _nests(value: Any) -> bool:
    """Return whether a template may put a value into a list or an object."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_nests(part) or (isinstance(part, str) and compile_template(part).is_expression) for part in parts)


def _compile_value(value: Any) -> Evaluate:
    if isinstance(value, str):
        return compile_template(value).render
    if isinstance(value, dict):
        if not any(isinstance(key, str) and "{{" in key for key in value):
            plain = [(key, _compile_value(item)) for key, item in value.items()]
            return lambda env: {key: item(env) for key, item in plain}
        entries = [(_compile_value(key), _compile_value(item)) for key, item in value.items()]
        return lambda env: {to_text(key(env), env.spend): item(env) for key, item in entries}
    if isinstance(value, list | tuple):
        items = [_compile_value(item) for item in value]
        return lambda env: [item(env) for item in items]
    return lambda env: value


def compile_value(value: Any) -> CompiledValue:
    """Compile a JSON value; raises TemplateSyntaxError."""
    return CompiledValue(value)


def walk(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield the JSON Pointer and text of every string that may be a template, keys included."""
    stack: list[tuple[str, Any, int]] = [(pointer, value, 0)]
    while stack:
        at, item, depth = stack.pop()
        if depth > MAX_NESTING:
            raise TemplateSyntaxError(f"lists and objects are nested deeper than {MAX_NESTING} levels")
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, dict):
            for key in reversed(item):
                below = f"{at}/{escape(key)}"
                stack.append((below, item[key], depth + 1))
                if isinstance(key, str) and "{{" in key:
                    stack.append((below, key, depth + 1))
        elif isinstance(item, list | tuple):
            stack.extend((f"{at}/{index}", item[index], depth + 1) for index in reversed(range(len(item))))


__all__ = ["MISSING", "CompiledValue", "Template"]
