"""What an evaluation sees besides its own text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.errors import Warnings


@dataclass(slots=True)
class Env:
    """The data, a clock and a source of UUIDs that the caller answers for."""

    context: Mapping[str, Any]
    now: Callable[[], datetime]
    uuid: Callable[[], str]
    strict: bool = False
    """A missing path is an error unless it is marked `?` or given a `default`."""
    warnings: Warnings = field(default_factory=Warnings)
