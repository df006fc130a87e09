"""What is shown on top of a drawing: nodes and edges that are good or bad, each with a note. No behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Mood = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Emphasis:
    """How a node or an edge is shown."""

    mood: Mood
    note: str
    """Shown while the pointer is over it."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The nodes and edges that are shown in another way."""

    nodes: Mapping[str, Emphasis] = field(default_factory=dict)
    edges: Mapping[tuple[str, str, str], Emphasis] = field(default_factory=dict)
    """By source, port and target."""


PLAIN = Overlay()
