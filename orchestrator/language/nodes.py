"""What an expression says, as a closed set of frozen nodes. Replay-sensitive."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """A place in the data: a top-level name and what follows."""

    root: str
    parts: tuple[str | int, ...]
    optional: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the table."""

    name: str
    arguments: tuple["Node", ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Piped:
    """A pipe of the table, applied to a value."""

    subject: "Node"
    name: str
    arguments: tuple["Node", ...]
    offset: int


Node = Literal | Path | Call | Piped


@dataclass(frozen=True, slots=True)
class Name:
    """A path that a template reads, for whoever asks what it needs."""

    root: str
    path: tuple[str | int, ...]
    optional: bool
    """Marked with `?`, or given a `default`."""
    line: int
    column: int
