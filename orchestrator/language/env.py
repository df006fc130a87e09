"""The environment of an evaluation: data, clock, UUIDs, warnings and the cost of the work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.errors import EvaluationError
from orchestrator.language.costs import VALUE_BUDGET


@dataclass(slots=True)
class Warnings:
    """Collects the warnings of an evaluation; they are shown on the step."""

    messages: list[str] = field(default_factory=list)
    limit: int = 20

    def add(self, message: str) -> None:
        """Add a message, without duplicates, up to the limit."""
        if len(self.messages) < self.limit and message not in self.messages:
            self.messages.append(message)


@dataclass(slots=True)
class Meter:
    """Counts the cost of rendered values, in the units of `costs`.

    One meter serves all values of a flow. Rendering never waits, so values do not overlap.
    """

    budget: int = VALUE_BUDGET
    """What one value may cost."""
    spent: int = 0
    limit: int = VALUE_BUDGET
    """What may be spent until the current value ends."""

    def start_value(self) -> None:
        """Begin a value, with a whole budget."""
        self.limit = self.spent + self.budget


@dataclass(slots=True)
class Env:
    """The data, and a clock and a source of UUIDs that the caller provides."""

    context: Mapping[str, Any]
    now: Callable[[], datetime]
    uuid: Callable[[], str]
    strict: bool = False
    """A missing path is an error unless it is marked with `?` or has a `default`."""
    warnings: Warnings = field(default_factory=Warnings)
    meter: Meter = field(default_factory=Meter)

    def spend(self, cost: int) -> None:
        """Count the cost of work; raises EvaluationError when the current value exceeds its budget."""
        meter = self.meter
        meter.spent += cost
        if meter.spent > meter.limit:
            raise EvaluationError(
                "this takes too much work for one value", hint="process less data, or split the work over several nodes"
            )
