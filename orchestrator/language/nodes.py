"""The syntax tree of an expression: a closed union of frozen nodes. Replay-sensitive."""

from dataclasses import dataclass
from typing import Any


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


Node = Literal | List | Object | Path | Call | Piped


@dataclass(frozen=True, slots=True)
class Name:
    """A path that a template reads, for checks of references."""

    root: str
    path: tuple[str | int, ...]
    optional: bool
    """Marked with `?`, or with a `default`."""
    line: int
    column: int
