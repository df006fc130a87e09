"""The syntax tree of an expression: a closed union of frozen nodes. Replay-sensitive."""

from dataclasses import dataclass, replace
from typing import Any, assert_never


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class List:
    """A list literal: `[a, 1]`."""

    items: tuple["Node", ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Object:
    """An object literal: `{"a": 1}`."""

    entries: tuple[tuple[str, "Node"], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Path:
    """A path into the data: a top-level name, then keys and indexes."""

    root: str
    parts: tuple[str | int, ...]
    optional: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Index:
    """A part of a value under keys of which some are computed, `prices[item.sku].net`, or of anything but a path."""

    subject: "Node"
    keys: tuple["Node", ...]
    optional: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two values: `a + b`."""

    operator: str
    left: "Node"
    right: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator in front of a value: `-a`, `not a`."""

    operator: str
    operand: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    arguments: tuple["Node", ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Piped:
    """A pipe applied to a value."""

    subject: "Node"
    name: str
    arguments: tuple["Node", ...]
    offset: int


Node = Literal | List | Object | Path | Index | Call | Piped | Binary | Unary


@dataclass(frozen=True, slots=True)
class Name:
    """A path that a template reads, for checks of references."""

    root: str
    path: tuple[str | int, ...]
    optional: bool
    """Marked with `?`, or with a `default` or a `??`."""
    line: int
    column: int


def is_path(node: Node) -> bool:
    """Return whether a node is a path, also one with computed keys."""
    return isinstance(node, Path) or (isinstance(node, Index) and is_path(node.subject))


def mark_optional(node: Node) -> Node:
    """Mark the paths whose value a node may return as optional: `default`, `??` or `?` allow them to be missing."""
    match node:
        case Path():
            return replace(node, optional=True)
        case Index():
            return replace(node, subject=mark_optional(node.subject), optional=True)
        case Piped():
            return replace(node, subject=mark_optional(node.subject))
        case Binary(operator="??"):
            return replace(node, right=mark_optional(node.right))
        case Literal() | List() | Object() | Call() | Binary() | Unary():
            return node
        case _:
            assert_never(node)
