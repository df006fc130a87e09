"""Encode values for Temporal, and keep them within its size limits. Replay-sensitive.

Temporal refuses payloads over 2 MiB and gRPC messages over 4 MiB. A workflow task that sends one fails and is retried
for ever, so each limit is checked before the server would:

    limit               whose              enforced by                what is lost above it
    MAX_RESULT_BYTES    chosen, 1.8 MB     activities/results.py      the step fails (not retried)
    MAX_PAYLOAD_BYTES   Temporal's 2 MiB   encode_or_fail, prepare    the step or run fails; a start is refused
    MAX_STORED_BYTES    chosen, 8 MB       the same, with a store     the same: `RunInfo.max_payload_bytes` of a run
                                           result_within_limit        a failed branch's steps, then compensations
    MAX_TASK_BYTES      gRPC's 4 MiB       workflow/task_budget.py    nothing: the rest waits for the next task
    LOG_BYTES           chosen, 4 MiB      encode_state               data of the oldest steps that a rerun keeps
    MAX_STATE_BYTES     chosen, 8 MiB      encode_state               as below: bounds the time of writing a state

Each stays under the limit of the server because the payload's metadata and the command around it count as well. What
a run carries over continue-as-new is one compressed payload: plan, state, unread events and branches. Where it is over
MAX_PAYLOAD_BYTES, the run stays in this execution. With a payload store, the chunks of its long lists and texts are
behind it, each a payload above PLAIN_BYTES. A rerun has the steps that it does not repeat in its state as well: they
lose all but 1 MiB of their data, then all but 64 kB.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter

from orchestrator.errors import StepFailed
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.value_table import ValuesTooLarge, ValueTable, load_lines
from orchestrator.jsontools.json_values import SCALARS
from orchestrator.jsontools.text import shorten
from orchestrator.model.run import MAX_PAYLOAD_BYTES, MAX_STORED_BYTES
from orchestrator.temporal.compression import compress_text, decompress_text

MAX_TASK_BYTES = 3_000_000
MAX_ENCODED_BYTES = MAX_STORED_BYTES
"""Larger values are not even encoded."""
INLINE = "orchestrator-inline"
"""Metadata of a payload that is not to be stored outside of Temporal: it is not recorded."""
PLAIN_BYTES = 65_536
LOG_BYTES = (4 * 1_048_576, 1_048_576, 65_536)
MAX_STATE_BYTES = 8 * 1_048_576
LOGGED = ("input", "output", "error", "warnings", "decision")
"""What a logged step may lose."""
MAX_SHORTENED = 200
"""Characters that are left of the message of an error without its details."""
MAX_ID = 400
"""Temporal accepts ids of up to 1,000 characters (`limit.maxIDLength`), and an id may become part of a longer one."""

TRIMMED = "(dropped: the record of this run is too long)"
"""Replaces dropped data; recorded in histories."""


def encode_or_fail(value: Any, what: str, limit: int = MAX_PAYLOAD_BYTES) -> RawValue:
    """Encode a value for Temporal, once; raises StepFailed where it is too large or not JSON."""
    (encoded,) = encode_all_or_fail((value,), what, limit)
    return encoded


def encode_inline(value: Any) -> RawValue:
    """Encode what is not recorded, such as the input of a local activity: it is not stored outside of Temporal."""
    return keep_inline(RawValue(DefaultPayloadConverter().to_payload(value)))


def keep_inline(encoded: RawValue) -> RawValue:
    """Mark an encoded value as one that is not stored outside of Temporal."""
    encoded.payload.metadata[INLINE] = b"true"
    return encoded


def encode_all_or_fail(values: Sequence[Any], what: str, limit: int = MAX_PAYLOAD_BYTES) -> list[RawValue]:
    """Encode values for Temporal, once; raises StepFailed where one is not JSON, or they are too large together."""
    # Values share their parts: 20 nodes that each double one take no memory, and a gigabyte as JSON.
    if measure_up_to(values, MAX_ENCODED_BYTES) > MAX_ENCODED_BYTES:
        raise _build_too_large(what, f"more than {MAX_ENCODED_BYTES:,}", MAX_ENCODED_BYTES, limit)
    try:
        payloads: list[Payload] = [workflow.payload_converter().to_payload(value) for value in values]
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise StepFailed(f"{what} is not JSON: {error}", recoverable=False) from error
    size = sum(len(payload.data) for payload in payloads)
    if size > limit:
        raise _build_too_large(what, f"{size:,}", size, limit)
    return [RawValue(payload) for payload in payloads]


def require_small(value: Any, what: str, limit: int) -> None:
    """Raise StepFailed where a value that is recorded elsewhere is larger than a payload may be."""
    # A number is counted as one byte and may have 25.
    if measure_up_to(value, limit // 32) <= limit // 32:
        return
    if measure_up_to(value, MAX_ENCODED_BYTES) > MAX_ENCODED_BYTES:
        raise _build_too_large(what, f"more than {MAX_ENCODED_BYTES:,}", MAX_ENCODED_BYTES, limit)
    if (size := measure_json(value)) > limit:
        raise _build_too_large(what, f"{size:,}", size, limit)


def _build_too_large(what: str, shown: str, size: int, limit: int) -> StepFailed:
    return StepFailed(
        f"{what} is {shown} bytes; the limit is {limit:,}. Store large data elsewhere and pass a reference",
        details={"bytes": size, "limit": limit},
        recoverable=False,
    )


def measure_up_to(value: Any, limit: int) -> int:
    """Return a size that a value as JSON has at least; counting stops above the limit, so this takes bounded time."""
    size, parts = 0, [value]
    while parts and size <= limit:
        part = parts.pop()
        kind = type(part)
        if kind is str:
            size += 2 + len(part)
        elif kind in SCALARS:
            size += 1
        elif kind is dict or (kind is not list and isinstance(part, Mapping)):
            size += 1
            for key, item in part.items():
                size += 4 + len(key if type(key) is str else str(key))
                if type(item) is str:
                    size += 2 + len(item)
                else:
                    parts.append(item)
        elif kind is list or isinstance(part, list | tuple):
            size += 1 + len(part)
            parts.extend(part)
        else:
            size += 2 + len(part) if isinstance(part, str) else 1
    return size


def measure_json(value: Any) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(json.dumps(value, separators=(",", ":")))


def is_within(value: Any, limit: int) -> bool:
    """Return whether a value as JSON is at most `limit` bytes."""
    return measure_up_to(value, limit) <= limit and measure_json(value) <= limit


def encode_state(
    state: RunState, envelope: Mapping[str, Any], limit: int = MAX_PAYLOAD_BYTES, *, with_log: bool = False
) -> list[RawValue] | None:
    """Encode an object with the state in its field `state`; return `None` where it is too large without any detail.

    With a payload store, the chunks of its long lists and texts are behind it.
    """
    fields = state.to_json(with_log=with_log)
    log = fields.pop("log", [])
    table = ValueTable(MAX_STATE_BYTES, PLAIN_BYTES if limit > MAX_PAYLOAD_BYTES else None)
    try:
        # The graph of 10,000 nodes has 60,000 objects, none of them data: measured, 3 s in the sandbox of tests.
        if scope := envelope.get("plan", {}).get("scope"):
            table.add_whole(scope)
        table.measure([envelope, fields])
    except ValuesTooLarge:
        return None
    table.max_bytes = None  # the log has its own limits
    sizes = _measure_log(log, table)
    logged = sum(size for step in sizes for size in step.values())
    for log_bytes in LOG_BYTES[:1] if logged <= LOG_BYTES[-1] else LOG_BYTES:
        trimmed = _trim_log(log, sizes, log_bytes)
        try:
            encoded = encode_shared({**envelope, "state": fields | ({"log": trimmed} if with_log else {})}, table)
        except ValueError:
            continue
        if len(encoded[0].payload.data) <= limit:
            return encoded
    return None


def encode_shared(value: Any, table: ValueTable) -> list[RawValue]:
    """Encode a value as JSON, or above 64 kB in compressed form with equal values once, and its chunks behind it."""
    if table.measure(value) <= PLAIN_BYTES:
        return [RawValue(DefaultPayloadConverter().to_payload(value))]
    return [compress_text(table.dump(value)), *map(_encode_chunk, table.chunks)]


def _encode_chunk(text: str) -> RawValue:
    # Not compressed: it is stored once, and its key must not depend on the version of zlib.
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


def decode_shared(value: Any, chunks: Sequence[Any] = ()) -> Any:
    """Return what `encode_shared` was given, from what Temporal's converter has read; raises ValueError."""
    return load_lines(decompress_text(value), chunks) if isinstance(value, bytes) else value


def _measure_log(log: list[dict[str, Any]], table: ValueTable) -> list[dict[str, int]]:
    """Return the sizes of the data of each step by field, as far as they are not stored in a newer place."""
    measurable = table.measured + MAX_STATE_BYTES
    sizes: list[dict[str, int]] = []
    for step in reversed(log):
        values = {name: step[name] for name in LOGGED if isinstance(step.get(name), dict | list | str)}
        is_measurable = table.measured < measurable
        sizes.append(
            {name: table.measure_new(value) if is_measurable else MAX_STATE_BYTES for name, value in values.items()}
        )
    return sizes[::-1]


def _trim_log(log: list[dict[str, Any]], sizes: list[dict[str, int]], log_bytes: int) -> list[dict[str, Any]]:
    """Drop data of steps, the oldest first, so that about `log_bytes` are left of it."""
    trimmed = []
    for step, size_by_name in zip(reversed(log), reversed(sizes), strict=True):
        dropped = {}
        for name, size in size_by_name.items():
            if size <= max(log_bytes, len(TRIMMED)):
                log_bytes -= size
            else:
                dropped[name] = drop_value(name, step[name])
        trimmed.append({**step, **dropped})
    return trimmed[::-1]


def drop_value(name: str, value: Any) -> Any:
    """Return what is left of the data in a field of a step."""
    match name:
        case "error" | "failure":
            message = shorten(str(value.get("message", "")), MAX_SHORTENED)
            return {**value, "message": message, "details": {"dropped": TRIMMED} if value.get("details") else {}}
        case "warnings":
            return [TRIMMED]
        case "decision":
            return None
    return TRIMMED


def shorten_id(name: str) -> str:
    """Return an id that Temporal accepts: a long one ends in a digest."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[:MAX_ID]}~{sha256(name.encode()).hexdigest()[:16]}"
