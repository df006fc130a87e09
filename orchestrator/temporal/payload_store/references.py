"""Replace references to stored payloads in recorded events by the payloads, for readers without a worker."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import (
    DataConverter,
    JSONProtoPayloadConverter,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
)

from orchestrator.temporal.payload_store.driver import PayloadDriver, get_driver
from orchestrator.temporal.payload_store.objects import PayloadUnavailable

MAX_BYTES = 256 * 1_048_576
"""Of the stored payloads of one history: they are all in memory while it is read."""
REFERENCE = ExternalStorageReference.DESCRIPTOR.full_name.encode()
UNREAD = (
    "activity_task_scheduled_event_attributes",
    "start_child_workflow_execution_initiated_event_attributes",
    "signal_external_workflow_execution_initiated_event_attributes",
)
"""What a workflow has sent follows from what it was told: nobody reads it who reads a whole history."""


async def encode_history(events: Sequence[HistoryEvent], converter: DataConverter) -> bytes:
    """Return an encoded `History` with the stored payloads in it; raises PayloadUnavailable."""
    history = History(events=events)
    encoded = history.SerializeToString()
    if REFERENCE not in encoded:
        return encoded
    await _load_all(await asyncio.to_thread(_list_references, history), converter)
    return history.SerializeToString()


async def load_payloads(payloads: Sequence[Payload], converter: DataConverter) -> list[Payload]:
    """Return payloads with the stored ones in place of references; raises PayloadUnavailable."""
    driver = get_driver(converter)
    if driver is None:
        return [*payloads]
    stored = [payload for payload in payloads if is_reference(payload)]
    loaded = iter(await asyncio.gather(*(load_payload(payload, driver) for payload in stored)))
    return [next(loaded) if is_reference(payload) else payload for payload in payloads]


async def _load_all(references: Sequence[Payload], converter: DataConverter) -> None:
    size = sum(each.external_payloads[0].size_bytes for each in references if each.external_payloads)
    if size > MAX_BYTES:
        raise PayloadUnavailable(
            f"the history has {size:,} bytes of stored payloads; at most {MAX_BYTES:,} can be read together"
        )
    if (driver := get_driver(converter)) is not None:
        await asyncio.gather(*(_load(payload, driver) for payload in references))


def is_reference(payload: Payload) -> bool:
    """Return whether a payload is a reference to a stored one."""
    metadata = payload.metadata
    return metadata.get("encoding") == b"json/protobuf" and metadata.get("messageType") == REFERENCE


async def load_payload(payload: Payload, driver: PayloadDriver) -> Payload:
    """Return the payload that a reference is to; raises PayloadUnavailable."""
    reference = JSONProtoPayloadConverter().from_payload(payload, ExternalStorageReference)
    claim = StorageDriverClaim(dict(reference.claim_data))
    (loaded,) = await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    return loaded


async def _load(payload: Payload, driver: PayloadDriver) -> None:
    payload.CopyFrom(await load_payload(payload, driver))


def _list_references(history: History) -> list[Payload]:
    read = (event for event in history.events if event.WhichOneof("attributes") not in UNREAD)
    return [payload for event in read for payload in _iterate_payloads(event) if is_reference(payload)]


def _iterate_payloads(message: Any) -> Iterator[Payload]:
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None:
            continue
        if kind.GetOptions().map_entry:
            children = value.values() if kind.fields_by_name["value"].message_type else ()
        elif field.is_repeated:
            children = value
        else:
            children = (value,)
        for child in children:
            if isinstance(child, Payload):
                yield child
            else:
                yield from _iterate_payloads(child)
