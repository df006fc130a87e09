"""What stands in history: the request of a run, the result of a branch, and how large either may be.

Replay-sensitive. Keys are left out where they say nothing: each byte is stored for every run.
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
"""Temporal refuses payloads of 2 MiB and more, and would refuse them at every retry of the workflow task."""
MAX_TASK_BYTES = 3_000_000
"""What one workflow task may send: a gRPC message holds 4 MiB."""
MAX_STATE_BYTES = 1_048_576
"""What a run that continues as new carries along."""
MAX_DOCUMENT_BYTES = 1_900_000

TRIMMED = "(dropped: the record of this run is too long)"


def encode_or_fail(value: Any, what: str) -> RawValue:
    """Convert a value for Temporal, once; StepFailed when it is too large or cannot be written as JSON."""
    try:
        payload: Payload = workflow.payload_converter().to_payload(value)
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise StepFailed(f"{what} cannot be written as JSON: {error}", recoverable=False) from error
    if len(payload.data) > MAX_PAYLOAD_BYTES:
        raise StepFailed(
            f"{what} takes {len(payload.data):,} bytes, more than the {MAX_PAYLOAD_BYTES:,} that Temporal holds;"
            " keep large data elsewhere and pass a reference",
            details={"bytes": len(payload.data), "limit": MAX_PAYLOAD_BYTES},
            recoverable=False,
        )
    return RawValue(payload)


def measure_json(value: Any) -> int:
    """Give the bytes that a value takes as JSON."""
    return len(json.dumps(value, separators=(",", ":")))


def state_within_limit(state: RunState, *, rewinds: bool) -> dict[str, Any] | None:
    """Write the state down, without what the oldest steps were given and gave where it is too large.

    `None` when even that does not fit.
    """
    whole = state.to_json()
    size = measure_json(whole)
    for step in whole["log"]:
        if size <= MAX_STATE_BYTES:
            break
        size -= trim_step(step, "input", "output")
    if size > MAX_PAYLOAD_BYTES and not rewinds:  # only a retry of the run would miss it
        size -= measure_json(whole["journal"])
        whole["journal"] = None
    return whole if size <= MAX_PAYLOAD_BYTES else None


def trim_step(step: dict[str, Any], *names: str) -> int:
    """Drop data of a step; give the bytes that this saves."""
    saved = 0
    for name in names:
        size = measure_json(step.get(name))
        if size > len(TRIMMED):
            step[name] = TRIMMED
            saved += size - len(TRIMMED) - 2
    return saved


def document_within_limit(document: dict[str, Any]) -> dict[str, Any]:
    """Keep the answer to a query under Temporal's limit: the oldest steps lose their data first."""
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


MAX_ID = 400
"""Temporal takes ids of 1,000; longer ones than this end in a digest."""


def shorten_id(name: str) -> str:
    """Keep an id within Temporal's limit."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[:MAX_ID]}~{sha256(name.encode()).hexdigest()[:16]}"
