"""What a segment of fused actions returns, and the time and UUIDs that are the same inside it and in the workflow.

A segment is one local activity that runs a copy of the flow ahead of the workflow, as far as fused actions and pure
nodes go. It returns how its actions ended, in that order. The workflow then walks the same nodes and is given one
result at a time, as the copy was; each time everything that became ready runs before the next:

    workflow    a is called       ┌ a ended: b is called   b ended: c is called   (the list ends) c is scheduled
    segment       a, b, c run     └ [a, b], c took too long

So nothing of what the workflow decides is recorded, and both see the same: `now()` is the workflow's time at the start
of the segment until an action has ended, then the time at which the last one did; UUIDs come from a seed of the segment
and a counter. Replay-sensitive.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from orchestrator.errors import StepFailed, parse_error_type
from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.model.plan import Retry

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """How an action of a segment ended."""

    id: str
    milliseconds: int
    """From the start of the segment to its end."""
    output: Any = None
    output_json: str = "null"
    """The output as it is recorded."""
    attempts: int = 1
    """Including those of earlier segments."""
    warnings: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None
    """The failure of its last attempt."""
    retry_seconds: float | None = None
    """It has failed, and is to be called again after that time: too long for a segment to last."""
    cancelled: bool = False

    def encode(self) -> str:
        """Return the step as JSON, as it is recorded in history; fields at their defaults are left out."""
        entries: dict[str, Any] = {"id": self.id, "ms": self.milliseconds}
        if self.error is not None:
            entries["error"] = self.error
        if self.attempts != 1:
            entries["attempts"] = self.attempts
        if self.warnings:
            entries["warnings"] = self.warnings
        if self.retry_seconds is not None:
            entries["retry_seconds"] = self.retry_seconds
        if self.cancelled:
            entries["cancelled"] = True
        text = _encode(entries)
        has_output = self.error is None and not self.cancelled
        return f'{text[:-1]},"output":{self.output_json}}}' if has_output else text

    @classmethod
    def decode(cls, entries: Mapping[str, Any]) -> "SegmentStep":
        """Read what `encode` wrote."""
        return cls(
            entries["id"],
            entries["ms"],
            entries.get("output"),
            attempts=entries.get("attempts", 1),
            warnings=tuple(entries.get("warnings", ())),
            error=entries.get("error"),
            retry_seconds=entries.get("retry_seconds"),
            cancelled=entries.get("cancelled", False),
        )

    def to_result(self) -> ActionResult:
        """Return the result of the action; raises StepFailed, or CancelledError where it was cancelled."""
        if self.cancelled:
            raise asyncio.CancelledError
        if self.error is not None:
            raise StepFailed(
                self.error["message"],
                error_type=parse_error_type(self.error["error_type"]),
                details=dict(self.error["details"]),
                recoverable=self.error["recoverable"],
                attempts=self.attempts,
            )
        return ActionResult(self.output, self.attempts, self.warnings, is_normal=True)


class PendingResult(asyncio.Future[SegmentStep]):
    """What a path of the flow waits for that has called an action.

    A path that is cancelled waits on where its action has begun: what it has done is to be recorded.
    """

    def __init__(self, is_due: Callable[[], bool]) -> None:
        """`is_due` is asked when the path is cancelled: whether the result still comes."""
        super().__init__(loop=asyncio.get_running_loop())
        self._is_due = is_due

    def cancel(self, msg: Any = None) -> bool:
        """End the wait, unless the result still comes."""
        return not self.done() and (self._is_due() or super().cancel(msg))

    async def wait(self) -> SegmentStep:
        """Wait for the result; raises CancelledError where none comes."""
        try:
            return await self
        except asyncio.CancelledError:
            if not self.done() or self.cancelled():
                raise
            return self.result()


def describe_failure(failure: StepFailed) -> dict[str, Any]:
    """Return the failure of an action as a segment records it."""
    return {
        "message": failure.message,
        "error_type": failure.error_type,
        "details": failure.details,
        "recoverable": failure.recoverable,
    }


class SegmentClock:
    """The time and the UUIDs of a segment."""

    def __init__(self, began: datetime, seed: str) -> None:
        self.began = began
        self._seed = seed
        self.milliseconds = 0
        """From the start of the segment to the end of the last action."""
        self.uuids = 0
        """Number of UUIDs returned."""

    def now(self) -> datetime:
        """Return the time of the walk."""
        return self.began + timedelta(milliseconds=self.milliseconds)

    def uuid(self) -> str:
        """Return the next UUID."""
        self.uuids += 1
        return str(UUID(bytes=sha256(f"{self._seed}:{self.uuids}".encode()).digest()[:16], version=4))


@dataclass(frozen=True, slots=True)
class SegmentCall:
    """An action that the workflow has called, and attempts that earlier segments have made."""

    request: ActRequest
    attempts: int = 0

    def encode(self) -> dict[str, Any]:
        """Return the call as a segment is sent it; that is not recorded."""
        entries = {field.name: getattr(self.request, field.name) for field in fields(self.request)}
        entries["retry"] = self.request.retry.model_dump(mode="json", exclude_defaults=True)
        return {**entries, "attempts": self.attempts}

    @classmethod
    def decode(cls, entries: Mapping[str, Any]) -> "SegmentCall":
        """Read what `encode` wrote."""
        request = {name: value for name, value in entries.items() if name != "attempts"}
        return cls(ActRequest(**{**request, "retry": Retry.model_validate(entries["retry"])}), entries["attempts"])
