"""Rows of definitions, versions and triggers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.model.plan import LATEST

ACTIVE, PAUSED, REMOVED, ARCHIVED = "active", "paused", "removed", "archived"


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored workflow; times are in UTC."""

    customer_id: str
    id: str
    name: str
    status: str
    definition: dict[str, Any]
    """The working copy."""
    version: int
    """The newest published version; 0 before the first."""
    edited: bool
    """The working copy differs from the published version."""
    revision: int
    created_at: datetime
    updated_at: datetime
    created_by: str
    yaml: str | None = None
    """The working copy as it was sent, with its comments; `None` where that was JSON."""

    @property
    def content_version(self) -> int:
        """Return the version that the working copy has, or will have once it is published."""
        return self.version + 1 if self.edited else self.version


@dataclass(frozen=True, slots=True)
class Head:
    """The few columns of a workflow that every start reads."""

    customer_id: str
    status: str
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One published version; it never changes."""

    customer_id: str
    workflow_id: str
    version: int
    definition: dict[str, Any]
    plan: dict[str, Any]
    published_at: datetime
    published_by: str
    copy_of: int | None
    yaml: str | None = None
    """The text of the working copy when it was published."""

    @property
    def calls(self) -> list["HeldCall"]:
        """Return the workflows that it calls, directly or through others, as its plan holds them."""
        return list_held_calls(self.plan)

    @property
    def held(self) -> dict[str, int]:
        """Return the versions that it holds of the workflows of which its definition names none."""
        return {call.workflow_id: call.version for call in self.calls if call.version and not call.is_named}

    def list_calling_nodes(self, call: "HeldCall") -> list[str]:
        """Return the IDs of its own nodes that make a call."""
        asked = call.version if call.pinned else LATEST if call.latest else None
        return [
            str(node["id"])
            for node in self.definition.get("nodes") or ()
            if node.get("type") == "workflow"
            and node["config"].get("workflow_id") == call.workflow_id
            and (node["config"].get("version") or None) == asked
        ]


@dataclass(frozen=True, slots=True)
class Callee:
    """The definition that a call of a workflow runs."""

    workflow_id: str
    version: int
    """0 is the draft of a workflow that has never been published."""
    definition: dict[str, Any]
    newest: bool
    """The newest version, or the draft."""


@dataclass(frozen=True, slots=True)
class HeldCall:
    """A workflow that a published version holds, as it was when that was published."""

    workflow_id: str
    version: int
    pinned: bool
    """Its definition asks for this version; else it took the newest."""
    latest: bool
    """Its definition asks for the latest version: each run takes the newest when it starts."""

    @property
    def is_named(self) -> bool:
        """Whether the definition says which version it calls."""
        return self.pinned or self.latest


@dataclass(frozen=True, slots=True)
class Caller:
    """The newest version of a workflow that calls another, directly or through others."""

    workflow_id: str
    version: int
    holds: HeldCall


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """The desired state of a workflow's trigger."""

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


def list_held_calls(plan: Mapping[str, Any]) -> list[HeldCall]:
    """Return the workflows that a plan holds; a key `id@version` is a call of that version."""
    calls = []
    for key, held in sorted((plan.get("workflows") or {}).items()):
        latest = key.endswith(f"@{LATEST}")
        pinned = "@" in key and not latest
        calls.append(HeldCall(str(held.get("id")), int(held.get("version", 1)), pinned, latest))
    return list(dict.fromkeys(calls))
