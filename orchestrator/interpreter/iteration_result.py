"""What a loop keeps of an iteration that has ended. Replay-sensitive.

Later releases read what `to_json` writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class IterationResult:
    """An iteration that has ended."""

    collected: Any = None
    error: dict[str, Any] | None = None
    """Why it failed."""
    exits: tuple[str, ...] = ()
    """Nodes outside the body that it has reached."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What a concurrent iteration has set."""
    steps: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> list[Any]:
        """Return the result as it is carried over continue-as-new, where an earlier iteration is in progress."""
        return [self.collected, self.error, list(self.exits), self.variables, self.steps]

    @classmethod
    def from_json(cls, entry: list[Any]) -> "IterationResult":
        """Read what `to_json` wrote."""
        collected, error, exits, variables, steps = entry
        return cls(collected, error, tuple(exits), variables, steps)
