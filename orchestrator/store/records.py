"""Rows of definitions, versions and triggers, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

ACTIVE, PAUSED, REMOVED = "active", "paused", "removed"


@dataclass(frozen=True, slots=True)
class Stored:
    """A workflow as it is kept; times in UTC."""

    customer_id: str
    id: str
    name: str
    status: str
    definition: dict[str, Any]
    """The working copy."""
    version: int
    """The newest published; 0 before the first."""
    edited: bool
    """The working copy is not what is published."""
    revision: int
    created_at: datetime
    updated_at: datetime
    created_by: str

    @property
    def content_version(self) -> int:
        """Give the version that the working copy has, or will have when it is published."""
        return self.version + 1 if self.edited else self.version


@dataclass(frozen=True, slots=True)
class Head:
    """What a start asks of a workflow: little, for each start asks it."""

    customer_id: str
    status: str
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One published version: it never changes."""

    customer_id: str
    workflow_id: str
    version: int
    definition: dict[str, Any]
    plan: dict[str, Any]
    published_at: datetime
    published_by: str
    copy_of: int | None


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """What should start a workflow."""

    customer_id: str
    workflow_id: str
    kind: str
    wanted: str
    version: int
    revision: int
    applied: int | None
    event: str | None
    path: str | None
    config: dict[str, Any]
