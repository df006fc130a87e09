"""What an evaluation sees besides its own text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.errors import EvaluationError


@dataclass(slots=True)
class Warnings:
    """Collects what an evaluation wants to say without failing; a step shows them."""

    messages: list[str] = field(default_factory=list)
    limit: int = 20

    def add(self, message: str) -> None:
        """Keep a message, once, up to the limit."""
        if len(self.messages) < self.limit and message not in self.messages:
            self.messages.append(message)


MAX_WORK = 33_554_432
"""Characters and elements that the pipes of one template may make, all together."""


@dataclass(slots=True)
class Env:
    """The data, a clock and a source of UUIDs that the caller answers for."""

    context: Mapping[str, Any]
    now: Callable[[], datetime]
    uuid: Callable[[], str]
    strict: bool = False
    """A missing path is an error unless it is marked `?` or given a `default`."""
    warnings: Warnings = field(default_factory=Warnings)
    work: int = 0
    """What the pipes of the outermost template have made so far."""

    def spend(self, amount: int) -> None:
        """Count work; raises EvaluationError when a template makes too much of it."""
        self.work += amount
        if self.work > MAX_WORK:
            raise EvaluationError("the pipes of this template make too much", hint="split it up")
