"""What operators ask of the steps of a run that is in progress. Replay-sensitive.

A step that waits is ended by a `Repair`: the wait is interrupted as `asyncio.timeout` does it, by cancelling the task
of the step and taking that cancellation back. A step that is yet to begin finds an `Override` when it does.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from orchestrator.interpreter.step_record import Step
from orchestrator.model.run_paths import is_inside

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repair:
    """How a step continues at once."""

    kind: Literal["set_result", "skip_node", "skip_wait", "retry_now"]
    result: Any = None
    """For `set_result`."""


class Repairs:
    """The repairs of one flow that are under way."""

    def __init__(self) -> None:
        self._requested: dict[str, Repair] = {}
        self._waiting: dict[str, asyncio.Task[Any]] = {}

    def is_requested(self, step_id: str) -> bool:
        """Return whether a step is about to be ended by an operator."""
        return step_id in self._requested

    def request(self, step_id: str, repair: Repair) -> None:
        """End the wait of a step; one that has not come back to its wait after continue-as-new does so first."""
        self._requested[step_id] = repair
        if step_id in self._waiting:
            self._waiting[step_id].cancel()

    async def wait(self, step_id: str, waiting: Coroutine[Any, Any, T]) -> T | Repair:
        """Return what the step waits for, or what an operator has decided before."""
        if step_id in self._requested:
            waiting.close()
            return self._requested.pop(step_id)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a step waits outside of a task")
        self._waiting[step_id] = task
        try:
            result: T | Repair = await waiting
        except asyncio.CancelledError:
            repair = self._requested.pop(step_id, None)
            # The run, or the scope of the step, may have been cancelled in the same moment: that goes before.
            if repair is None or task.uncancel() > 0:
                raise
            return repair
        finally:
            del self._waiting[step_id]
        # `asyncio.wait_for` of Python 3.11 returns a result that has come in the moment of the cancellation.
        repair = self._requested.pop(step_id, None)
        if repair is not None:
            task.uncancel()
        return result if repair is None else repair


@dataclass(frozen=True, slots=True)
class Override:
    """What an operator has decided on steps that begin later."""

    node_id: str
    path: str
    """The steps inside it are meant, at any depth; empty for the whole run."""
    step_id: str | None = None
    """The only step that is meant."""
    repair: Repair | None = None
    """How the step ends instead of running: `set_result` or `skip_node`."""
    parameters: dict[str, Any] | None = None
    """Parameters of the action to replace; they may hold templates."""

    def concerns(self, step: Step) -> bool:
        """Return whether a step is meant."""
        if self.step_id is not None:
            return step.id == self.step_id
        return step.node_id == self.node_id and is_inside(step.path, self.path)

    def to_json(self) -> dict[str, Any]:
        """Return the override as it is carried over continue-as-new, and handed to branches."""
        fields: dict[str, Any] = {"node_id": self.node_id, "path": self.path}
        if self.step_id is not None:
            fields["step_id"] = self.step_id
        if self.repair is not None:
            fields["repair"] = [self.repair.kind, self.repair.result]
        if self.parameters is not None:
            fields["parameters"] = self.parameters
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Override":
        """Read what `to_json` wrote."""
        values = dict(fields)
        if "repair" in values:
            values["repair"] = Repair(*values["repair"])
        return cls(**values)
