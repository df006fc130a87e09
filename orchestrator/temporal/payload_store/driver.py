"""Let clients and workers store payloads above 64 kB outside of Temporal, through the SDK's external storage.

Each process that reads or writes runs has the same store; without one, nothing is stored outside, and a reference
that is found all the same is an error.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverSelectContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from orchestrator.model.run import MAX_PAYLOAD_BYTES, MAX_STORED_BYTES
from orchestrator.settings import Settings
from orchestrator.temporal.payload_store.bucket import NO_RETRIES, Bucket
from orchestrator.temporal.payload_store.folder import Folder
from orchestrator.temporal.payload_store.objects import (
    KEY,
    MAX_NAME,
    Objects,
    PayloadUnavailable,
    build_key,
    build_mark,
    encode_name,
    find_owner,
)
from orchestrator.temporal.payloads import INLINE, PLAIN_BYTES

DRIVER = "orchestrator"
"""Name of the driver, in references: the same for every kind of store, so that objects can be moved."""
KEY_FIELD = "key"
BUCKETS = "s3://"
AT_ONCE = 8
"""Objects of one process that are read, and that are written."""
HINT = "set ORCHESTRATOR_PAYLOAD_STORE to the same place for every process"


class PayloadDriver(StorageDriver):
    """Stores payloads by their content, under the run that they belong to."""

    def __init__(self, objects: Objects | None) -> None:
        """Without `objects` there is no store."""
        self.objects = objects
        # Not the threads of the event loop: other work would wait with them for a bucket that does not answer.
        self._readers = ThreadPoolExecutor(AT_ONCE, "payload-reader")
        self._writers = ThreadPoolExecutor(AT_ONCE, "payload-writer")

    def name(self) -> str:
        """Return the name of the driver in references."""
        return DRIVER

    def select(self, context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        """Return the driver for a payload that is stored outside, and `None` for one that is not."""
        if self.objects is None or not isinstance(context.target, StorageDriverWorkflowInfo) or not context.target.id:
            return None
        if INLINE in payload.metadata or len(encode_name(find_owner(context.target.id))) > MAX_NAME:
            return None
        return self

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        """Store payloads; when this returns they are durable."""
        target, objects = context.target, self.objects
        if objects is None or not isinstance(target, StorageDriverWorkflowInfo) or target.id is None:
            raise PayloadUnavailable("no payload store is configured", hint=HINT)
        owner = find_owner(target.id)
        contents = {}
        keys = []
        for payload in payloads:
            content = payload.SerializeToString(deterministic=True)
            keys.append(build_key(target.namespace, owner, content))
            contents[keys[-1]] = content
        loop = asyncio.get_running_loop()
        writes = [loop.run_in_executor(self._writers, objects.write, *item) for item in contents.items()]
        await asyncio.gather(*writes)
        return [StorageDriverClaim({KEY_FIELD: key}) for key in keys]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Return stored payloads; raises PayloadUnavailable."""
        return await asyncio.gather(*(self._read(claim.claim_data.get(KEY_FIELD, "")) for claim in claims))

    async def _read(self, key: str) -> Payload:
        if self.objects is None:
            raise PayloadUnavailable("the payload is in a store that is not configured here", hint=HINT)
        if KEY.fullmatch(key) is None:
            raise PayloadUnavailable(f"{key!r:.100} is not the key of a payload")
        content = await asyncio.get_running_loop().run_in_executor(self._readers, self.objects.read, key)
        if sha256(content).hexdigest() != key.rpartition("/")[2]:
            raise PayloadUnavailable(f"the payload {key} is damaged")
        return Payload.FromString(content)


def open_objects(location: str) -> Objects:
    """Open the objects at a location: `s3://bucket/prefix`, or a folder; raises SettingsError."""
    return Bucket(location) if location.startswith(BUCKETS) else Folder(Path(location))


def get_max_payload_bytes(settings: Settings) -> int:
    """Return the size of the largest value that new runs may record."""
    return MAX_PAYLOAD_BYTES if settings.payload_store is None else MAX_STORED_BYTES


async def encode_for_run(client: Client, run_id: str, values: Sequence[Any]) -> list[Payload]:
    """Encode values for a request to a run that is not made by the SDK."""
    target = StorageDriverWorkflowInfo(namespace=client.namespace, id=run_id)
    # The SDK does the same for its own requests, and has no public way to do it.
    return await client.data_converter._with_store_context(StorageDriverStoreContext(target)).encode(values)


def build_data_converter(settings: Settings) -> DataConverter:
    """Return the converter of a process; raises SettingsError."""
    driver = PayloadDriver(open_objects(settings.payload_store) if settings.payload_store else None)
    storage = ExternalStorage([driver], driver_selector=driver.select, payload_size_threshold=PLAIN_BYTES)
    return replace(DataConverter.default, external_storage=storage)


def get_driver(converter: DataConverter) -> PayloadDriver | None:
    """Return the driver of a converter."""
    storage = converter.external_storage
    driver = storage.drivers[0] if storage is not None else None
    return driver if isinstance(driver, PayloadDriver) else None


async def require_store(settings: Settings, namespace_id: str) -> None:
    """Mark the store, if there is one, with the namespace's own ID, and read the mark; raises PayloadUnavailable.

    The caller decides how often to try.
    """
    if (location := settings.payload_store) is None:
        return
    objects = Bucket(location, NO_RETRIES) if location.startswith(BUCKETS) else Folder(Path(location))
    identity = namespace_id.encode()
    mark = build_mark(encode_name(settings.temporal_namespace), identity)
    await asyncio.to_thread(objects.write, mark, identity)
    await asyncio.to_thread(objects.read, mark)
