"""Nodes in progress that have no frames inside them: the leaves of the tree of `frames`. Replay-sensitive.

The keys that `to_json` writes are read by later releases: they do not follow a renamed field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.failures import build_recorded_failure
from orchestrator.interpreter.step_record import Step
from orchestrator.model.run import ErrorDocument, format_timestamp


@dataclass(slots=True)
class BusyNode:
    """A node in progress that has to end before the run can be written down."""

    step: Step


@dataclass(slots=True)
class DelayFrame:
    """A delay in progress."""

    step: Step
    until: datetime
    seconds: float
    """How long it lasts in all."""

    def to_json(self) -> dict[str, Any]:
        """Return the delay as it is carried over continue-as-new."""
        return {"until": format_timestamp(self.until), "seconds": self.seconds}

    @classmethod
    def from_json(cls, step: Step, fields: Mapping[str, Any]) -> "DelayFrame":
        """Read what `to_json` wrote."""
        return cls(step, datetime.fromisoformat(fields["until"]), fields["seconds"])


def join_events(events: Sequence[str]) -> str | list[str]:
    """Return the names that a wait has as it is written: one name, or a list of several."""
    return events[0] if len(events) == 1 else list(events)


@dataclass(slots=True)
class WaitFrame:
    """A wait for an event, or for the first of several."""

    step: Step
    events: tuple[str, ...]
    until: datetime | None
    turn: int
    """Its position among all waits of the flow: the first one reads the event."""
    key: str | None = None
    """What the key of the event has to be; `None` for any."""
    remind_at: datetime | None = None
    """When the assignees of an approval are reminded next."""
    reminders: int = 0
    """How often they have been reminded."""

    def to_json(self) -> dict[str, Any]:
        """Return the wait as it is carried over continue-as-new."""
        fields = {
            "event": join_events(self.events),
            "until": self.until and format_timestamp(self.until),
            "turn": self.turn,
            "key": self.key,
            "remind_at": self.remind_at and format_timestamp(self.remind_at),
            "reminders": self.reminders or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, step: Step, fields: Mapping[str, Any]) -> "WaitFrame":
        """Read what `to_json` wrote."""
        until = fields.get("until")
        event = fields["event"]
        events = tuple(event) if isinstance(event, list) else (event,)
        remind_at = fields.get("remind_at")
        return cls(
            step,
            events,
            until and datetime.fromisoformat(until),
            fields["turn"],
            fields.get("key"),
            remind_at and datetime.fromisoformat(remind_at),
            fields.get("reminders", 0),
        )


@dataclass(slots=True)
class OperatorFrame:
    """A failed step that waits for an operator."""

    step: Step
    attempts: int
    """Number of attempts of the action that failed."""
    edits: list[dict[str, Any]]
    """Parameters that the operator has replaced before."""

    def build_failure(self) -> StepFailed:
        """Return the failure that the operator has to resolve."""
        error = self.step.error or ErrorDocument(message="", error_type="unknown")
        return build_recorded_failure(error, self.attempts)

    def to_json(self) -> dict[str, Any]:
        """Return the pause as it is carried over continue-as-new."""
        return {"attempts": self.attempts, "edits": self.edits}

    @classmethod
    def from_json(cls, step: Step, fields: Mapping[str, Any]) -> "OperatorFrame":
        """Read what `to_json` wrote."""
        return cls(step, fields["attempts"], list(fields["edits"]))


@dataclass(frozen=True, slots=True)
class AgainIteration:
    """A failed iteration of a sequential loop that a rerun runs again, from where it has to."""

    index: int
    frame: dict[str, Any] | None = None
    """As `Frame.to_json` writes it; `None` to begin the iteration from its start."""
    steps: Mapping[str, Any] = field(default_factory=dict)
    """The results of the nodes of the body that it keeps."""

    def to_json(self) -> list[Any]:
        """Return the iteration as it is carried over continue-as-new."""
        return [self.index, self.frame, self.steps]
