"""Encode values for Temporal, and keep them within its size limits. Replay-sensitive.

Temporal refuses payloads over 2 MiB and gRPC messages over 4 MiB. A workflow task that sends one fails and is retried
for ever, so each limit is checked before the server would:

    limit               whose              enforced by                what is lost above it
    MAX_RESULT_BYTES    chosen, 1.8 MB     activities/runtime.py      the step fails (not retried)
    MAX_PAYLOAD_BYTES   Temporal's 2 MiB   encode_or_fail, prepare    the step or run fails; a start is refused
                                           result_within_limit        a failed branch's steps, then compensations
    MAX_TASK_BYTES      gRPC's 4 MiB       workflow/task_budget.py    nothing: the rest waits for the next task
    LOG_BYTES           chosen, 4 MiB      encode_state               input and output of the oldest logged steps
    MAX_STATE_BYTES     chosen, 8 MiB      encode_state               as below: bounds the time of writing a state
    MAX_DOCUMENT_BYTES  Temporal's 2 MiB   document_within_limit      the same in the answer to a query, then context

Each stays under the limit of the server because the payload's metadata and the command around it count as well. What
a run carries over continue-as-new is one compressed payload: plan, state, unread events and branches. Where it is over
MAX_PAYLOAD_BYTES, the logged steps lose all but 1 MiB of their data, then all but 64 kB, then the undo log is left out
(no rerun from a node), and where that is not enough the run stays in this execution.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter

from orchestrator.errors import StepFailed
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.value_table import ValuesTooLarge, ValueTable, load_lines
from orchestrator.temporal.compression import compress_text, decompress_text

MAX_PAYLOAD_BYTES = 1_900_000
MAX_TASK_BYTES = 3_000_000
PLAIN_BYTES = 65_536
LOG_BYTES = (4 * 1_048_576, 1_048_576, 65_536)
MAX_STATE_BYTES = 8 * 1_048_576
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


def encode_state(state: RunState, envelope: Mapping[str, Any], *, rewinds: bool) -> RawValue | None:
    """Encode an object with the state in its field `state`; return `None` where it is too large without any detail.

    `rewinds` says that the plan can go back to a node, so that the undo log must stay.
    """
    for with_undo_log in (True,) if rewinds else (True, False):
        fields = state.to_json(with_undo_log=with_undo_log)
        log = fields.pop("log")
        table = ValueTable(MAX_STATE_BYTES)
        try:
            # The graph of 10,000 nodes has 60,000 objects, none of them data: measured, 3 s in the sandbox of tests.
            if scope := envelope.get("plan", {}).get("scope"):
                table.add_whole(scope)
            table.measure([envelope, fields])
        except ValuesTooLarge:
            continue
        table.max_bytes = None  # the log has its own limits
        sizes = _measure_log(log, table)
        logged = sum(size for step in sizes for size in step.values())
        for log_bytes in LOG_BYTES[:1] if logged <= LOG_BYTES[-1] else LOG_BYTES:
            trimmed = _trim_log(log, sizes, log_bytes)
            encoded = encode_shared({**envelope, "state": {**fields, "log": trimmed}}, table)
            if len(encoded.payload.data) <= MAX_PAYLOAD_BYTES:
                return encoded
    return None


def encode_shared(value: Any, table: ValueTable) -> RawValue:
    """Encode a value as JSON, or above 64 kB in compressed form with equal values once."""
    if table.measure(value) <= PLAIN_BYTES:
        return RawValue(DefaultPayloadConverter().to_payload(value))
    return compress_text(table.dump(value))


def decode_shared(value: Any) -> Any:
    """Return what `encode_shared` was given, from what Temporal's converter has read; raises ValueError."""
    return load_lines(decompress_text(value)) if isinstance(value, bytes) else value


def _measure_log(log: list[dict[str, Any]], table: ValueTable) -> list[dict[str, int]]:
    """Return the sizes of the input and output of each step, as far as they are not stored in a newer place."""
    measurable = table.measured + MAX_STATE_BYTES
    sizes: list[dict[str, int]] = []
    for step in reversed(log):
        values = {name: step[name] for name in ("input", "output") if isinstance(step.get(name), dict | list | str)}
        is_measurable = table.measured < measurable
        sizes.append(
            {name: table.measure_new(value) if is_measurable else MAX_STATE_BYTES for name, value in values.items()}
        )
    return sizes[::-1]


def _trim_log(log: list[dict[str, Any]], sizes: list[dict[str, int]], log_bytes: int) -> list[dict[str, Any]]:
    """Drop input and output of steps, the oldest first, so that about `log_bytes` are left of them."""
    trimmed = []
    for step, size_by_name in zip(reversed(log), reversed(sizes), strict=True):
        dropped = {}
        for name, size in size_by_name.items():
            if size <= max(log_bytes, len(TRIMMED)):
                log_bytes -= size
            else:
                dropped[name] = TRIMMED
        trimmed.append({**step, **dropped})
    return trimmed[::-1]


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
