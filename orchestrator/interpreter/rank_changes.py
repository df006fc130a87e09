"""Differences between the active ranks of a scope at two moments. Replay-sensitive.

A scope of 5,500 nodes that all become active at once has 5,500 entries in its undo log; the whole list in each would
take 74 MB. A difference has a rank for each node that was started or activated in between: with 3, 4 and 5 active,
starting 3, which activates 7, is `{3: True, 7: False}`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RankChanges = dict[int, bool]
"""Each rank that differs, and whether it was active before."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How a path has left a node."""

    node_id: str
    port: str
    activated: tuple[int, ...]
    """The ranks that were not active before."""
    exits: tuple[str, ...]
    """The nodes outside the scope that no path had reached before."""

    def to_json(self) -> list[Any]:
        """Return the departure as it is carried over continue-as-new."""
        return [self.node_id, self.port, list(self.activated), list(self.exits)]

    @classmethod
    def from_json(cls, entry: Sequence[Any]) -> "Departure":
        """Read what `to_json` wrote."""
        node_id, port, activated, exits = entry
        return cls(node_id, port, tuple(activated), tuple(exits))


def undo_changes(active: Iterable[int], changes: Mapping[int, bool]) -> list[int]:
    """Return the ranks that were active before the changes, ascending."""
    unchanged = [rank for rank in active if rank not in changes]
    return sorted([*unchanged, *(rank for rank, was_active in changes.items() if was_active)])


def compose_changes(earlier: Mapping[int, bool], later: Mapping[int, bool]) -> RankChanges:
    """Return the difference from before the earlier changes to after the later ones."""
    composed = dict(earlier)
    for rank, was_active in later.items():
        if rank in composed:
            del composed[rank]  # it is again what it was
        else:
            composed[rank] = was_active
    return composed


def changes_to_json(changes: Mapping[int, bool]) -> list[list[int]]:
    """Return the difference as it is carried over continue-as-new: `[started, activated]`."""
    started = [rank for rank, was_active in changes.items() if was_active]
    return [started, [rank for rank, was_active in changes.items() if not was_active]]


def changes_from_json(fields: Sequence[Sequence[int]]) -> RankChanges:
    """Read what `changes_to_json` wrote."""
    started, activated = fields
    return dict.fromkeys(started, True) | dict.fromkeys(activated, False)
