"""Encode values for Temporal, and keep them within its size limits. Replay-sensitive.

Temporal refuses payloads over 2 MiB and gRPC messages over 4 MiB. A workflow task that sends one fails and is retried
for ever, so each limit is checked before the server would:

    limit               whose              enforced by                what is lost above it
    MAX_RESULT_BYTES    chosen, 1.8 MB     activities/runtime.py      the step fails (not retried)
    MAX_PAYLOAD_BYTES   Temporal's 2 MiB   encode_or_fail, prepare    the step or run fails; a start is refused
                                           result_within_limit        a failed branch's steps, then compensations
    MAX_TASK_BYTES      gRPC's 4 MiB       workflow/task_budget.py    nothing: the rest waits for the next task
    MAX_STATE_BYTES     chosen, 1 MiB      state_within_limit         input and output of the oldest logged steps
    MAX_DOCUMENT_BYTES  Temporal's 2 MiB   document_within_limit      the same in the answer to a query, then context

Each stays under the limit of the server because the payload's metadata and the command around it count as well. A
state that is still over MAX_PAYLOAD_BYTES loses its undo log (no rerun from a node), or stays in this execution.
"""

import json
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from orchestrator.errors import StepFailed
from orchestrator.interpreter.state import RunState

MAX_PAYLOAD_BYTES = 1_900_000
MAX_TASK_BYTES = 3_000_000
MAX_STATE_BYTES = 1_048_576
MAX_DOCUMENT_BYTES = 1_900_000
MAX_ID = 400
"""Temporal accepts ids of up to 1,000 characters (`limit.maxIDLength`), and an id may become part of a longer one."""

TRIMMED = "(dropped: the record of this run is too long)"
"""Replaces dropped data; recorded in histories."""


def encode_or_fail(value: Any, what: str) -> RawValue:
    """Encode a value for Temporal, once; raises StepFailed where it is too large or not JSON."""
    try:
        payload: Payload = workflow.payload_converter().to_payload(value)
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise StepFailed(f"{what} is not JSON: {error}", recoverable=False) from error
    if len(payload.data) > MAX_PAYLOAD_BYTES:
        raise StepFailed(
            f"{what} is {len(payload.data):,} bytes; the limit is {MAX_PAYLOAD_BYTES:,}."
            " Store large data elsewhere and pass a reference",
            details={"bytes": len(payload.data), "limit": MAX_PAYLOAD_BYTES},
            recoverable=False,
        )
    return RawValue(payload)


def measure_json(value: Any) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(json.dumps(value, separators=(",", ":")))


def state_within_limit(state: RunState, *, rewinds: bool) -> dict[str, Any] | None:
    """Return the state as JSON, without the input and output of the oldest steps where it is too large.

    `rewinds` says that the plan can go back to a node, so that the undo log must stay. Returns `None` where even the
    trimmed state is too large.
    """
    whole = state.to_json()
    size = measure_json(whole)
    for step in whole["log"]:
        if size <= MAX_STATE_BYTES:
            break
        size -= trim_step(step, "input", "output")
    if size > MAX_PAYLOAD_BYTES and not rewinds:  # only a rerun would need it
        size -= measure_json(whole["journal"])
        whole["journal"] = None
    return whole if size <= MAX_PAYLOAD_BYTES else None


def trim_step(step: dict[str, Any], *names: str) -> int:
    """Drop data of a step; return the bytes that this saves."""
    saved = 0
    for name in names:
        size = measure_json(step.get(name))
        if size > len(TRIMMED):
            step[name] = TRIMMED
            saved += size - len(TRIMMED) - 2
    return saved


def document_within_limit(document: dict[str, Any]) -> dict[str, Any]:
    """Trim the answer to a query: the oldest steps lose their data first."""
    size = measure_json(document)
    for step in document.get("steps", ()):
        if size <= MAX_DOCUMENT_BYTES:
            break
        size -= trim_step(step, "input_data", "output_data")
    for name in ("context", "input_data", "trigger_data", "output"):
        if size > MAX_DOCUMENT_BYTES and name in document:
            size -= measure_json(document[name])
            document[name] = {"dropped": TRIMMED}
    return document


def shorten_id(name: str) -> str:
    """Return an id that Temporal accepts: a long one ends in a digest."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[:MAX_ID]}~{sha256(name.encode()).hexdigest()[:16]}"
