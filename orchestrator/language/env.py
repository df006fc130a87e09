"""The environment of an evaluation: data, clock, UUIDs, warnings and the budget of work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.errors import EvaluationError


@dataclass(slots=True)
class Warnings:
    """Collects the warnings of an evaluation; they are shown on the step."""

    messages: list[str] = field(default_factory=list)
    limit: int = 20

    def add(self, message: str) -> None:
        """Add a message, without duplicates, up to the limit."""
        if len(self.messages) < self.limit and message not in self.messages:
            self.messages.append(message)


MAX_WORK = 33_554_432
"""Characters and elements that all pipes of one template may produce."""


@dataclass(slots=True)
class Env:
    """The data, and a clock and a source of UUIDs that the caller provides."""

    context: Mapping[str, Any]
    now: Callable[[], datetime]
    uuid: Callable[[], str]
    strict: bool = False
    """A missing path is an error unless it is marked with `?` or has a `default`."""
    warnings: Warnings = field(default_factory=Warnings)
    work: int = 0
    """Work that the pipes of the current template have done so far."""

    def spend(self, amount: int) -> None:
        """Count work; raises EvaluationError when the template exceeds its budget."""
        self.work += amount
        if self.work > MAX_WORK:
            raise EvaluationError(
                "the pipes of this template do too much work", hint="process less data, or split the template"
            )
