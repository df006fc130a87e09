"""Compensations that a run has to call if it fails, as they are carried in states and branch results.

Replay-sensitive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model.plan import Retry


@dataclass(frozen=True, slots=True)
class PendingCompensation:
    """The call that undoes a completed step, with the parameters as they were when it completed."""

    step_id: str
    node_id: str
    path: str
    title: str
    action: str
    retry: Retry
    timeout_seconds: float
    parameters: Any = None
    secrets: Mapping[str, list[Any]] = field(default_factory=dict)
    error: str | None = None
    """Why the parameters could not be rendered: the compensation fails with it."""
    given_up: bool = False
    """The iteration or branch of the step has failed or was cancelled: it is undone where the run continues."""

    def is_in(self, scope_path: str) -> bool:
        """Return whether the step is in an iteration or a branch, or in a scope inside it."""
        return self.path == scope_path or self.path.startswith(f"{scope_path}/")

    def to_json(self) -> dict[str, Any]:
        """Return the compensation as it is recorded in history."""
        entry: dict[str, Any] = {
            "step_id": self.step_id,
            "node_id": self.node_id,
            "path": self.path,
            "title": self.title,
            "action": self.action,
            "retry": self.retry.model_dump(mode="json", exclude_defaults=True),
            "timeout_seconds": self.timeout_seconds,
        }
        if self.given_up:
            entry["given_up"] = True
        if self.error is not None:
            return {**entry, "error": self.error}
        return {**entry, "parameters": self.parameters, "secrets": self.secrets}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "PendingCompensation":
        """Read what `to_json` wrote."""
        return cls(**{**entry, "retry": Retry.model_validate(entry["retry"])})
