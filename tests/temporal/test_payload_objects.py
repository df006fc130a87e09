"""Objects are stored durably and whole, in a folder and in a bucket."""

import asyncio
import multiprocessing
import os
import signal
import stat
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from orchestrator.settings import Settings
from orchestrator.temporal.payload_store import bucket
from orchestrator.temporal.payload_store.bucket import Bucket
from orchestrator.temporal.payload_store.driver import PayloadDriver, build_data_converter
from orchestrator.temporal.payload_store.folder import Folder
from orchestrator.temporal.payload_store.objects import (
    Objects,
    PayloadUnavailable,
    build_key,
    decode_name,
    encode_name,
    find_owner,
)
from orchestrator.temporal.payload_store.references import load_payloads

TEXT = b"x" * 100_000
DIGEST = "1ea55dbd2ca6d0ad5668ce4c54439c58bf6b347151a2764d19decc7cb7288e1f"


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    if request.param == "folder":
        return Folder(tmp_path / "payloads")
    if request.param == "memory":
        from obstore.store import MemoryStore

        monkeypatch.setattr(bucket, "_open_store", lambda *_: MemoryStore())
        return Bucket("s3://memory")
    return Bucket(f"{request.getfixturevalue('s3_bucket')}/some/prefix")


def test_what_is_written_is_read_listed_and_removed(objects: Objects) -> None:
    keys = [build_key("name/space", f"order~{n}%-1", TEXT + bytes([n])) for n in (0, 0, 1)]
    for key, content in zip(keys, (TEXT + b"\0", TEXT + b"\0", TEXT + b"\1"), strict=True):
        objects.write(key, content)
    namespace = encode_name("name/space")
    owners = sorted(objects.list_owners(namespace))
    found = objects.list_of(namespace, owners[0])

    assert [decode_name(owner) for owner in owners] == ["order~0%-1", "order~1%-1"]
    assert objects.read(keys[2]) == TEXT + b"\1"
    assert [each.key for each in found] == [keys[0]]
    assert abs(found[0].modified_at - datetime.now(UTC)) < timedelta(minutes=10)

    objects.remove([each.key for each in found])

    assert list(objects.list_owners(namespace)) == owners[1:]
    with pytest.raises(PayloadUnavailable):
        objects.read(keys[0])
    assert objects.read(keys[2]) == TEXT + b"\1"


async def test_the_driver_stores_under_the_run_and_returns_the_payload(objects: Objects) -> None:
    driver = PayloadDriver(objects)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=TEXT)
    targets = [StorageDriverWorkflowInfo(namespace="n", id=name) for name in ("a-1", "a-1/fork[0]", "b-1")]
    claims = [
        (await driver.store(StorageDriverStoreContext(target), [payload]))[0].claim_data["key"] for target in targets
    ]
    loaded = await driver.retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim({"key": claims[1]})])

    assert claims[0] == claims[1] != claims[2]
    assert claims[0].startswith("n/a-1/")
    assert loaded == [payload]


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "n/../../../etc/passwd", "n/a/" + "0" * 63, "n/a/b/" + "0" * 64]
)
async def test_what_is_no_key_is_not_read(tmp_path: Path, key: str) -> None:
    driver = PayloadDriver(Folder(tmp_path))

    with pytest.raises(PayloadUnavailable, match="not the key"):
        await driver.retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim({"key": key})])


async def test_a_damaged_payload_is_an_error_and_not_another_value(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    key = build_key("n", "a", TEXT)
    folder.write(key, TEXT[:-1])

    with pytest.raises(PayloadUnavailable, match="is damaged"):
        await PayloadDriver(folder).retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim({"key": key})])


async def test_references_in_recorded_histories_can_be_read_by_later_releases(tmp_path: Path) -> None:
    """As version 1.35 of the SDK writes them: its format is a preview, and has changed before."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'{"text":"a"}')
    content = payload.SerializeToString(deterministic=True)
    key = "default/order-1/" + sha256(content).hexdigest()
    reference = make_reference(key, len(content))
    converter = build_data_converter(Settings(payload_store=str(tmp_path)))
    Folder(tmp_path).write(key, content)

    assert await converter.decode([reference]) == [{"text": "a"}]
    assert await load_payloads([reference], converter) == [payload]
    assert key == "default/order-1/" + DIGEST


def make_reference(key: str, size: int) -> Payload:
    reference = Payload(
        metadata={"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"},
        data=f'{{"claimData":{{"key":"{key}"}},"driverName":"orchestrator"}}'.encode(),
    )
    reference.external_payloads.add().size_bytes = size
    return reference


async def test_payloads_of_one_event_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has continued as new begins with up to 130 of them."""
    folder = Folder(tmp_path)
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"0")
    stored = [Payload(metadata={"encoding": b"json/plain"}, data=str(number).encode()) for number in (1, 2)]
    contents = [payload.SerializeToString(deterministic=True) for payload in stored]
    keys = [build_key("n", "a", content) for content in contents]
    for key, content in zip(keys, contents, strict=True):
        folder.write(key, content)
    both = threading.Barrier(2)
    read = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, key: (both.wait(60), read(self, key))[1])
    first, second = (make_reference(key, 1) for key in keys)
    converter = build_data_converter(Settings(payload_store=str(tmp_path)))

    assert await load_payloads([first, plain, second], converter) == [stored[0], plain, stored[1]]


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "ä", "a=b", "%2F", "order-1~x"])
def test_names_of_owners_are_files_and_come_back(name: str) -> None:
    encoded = encode_name(name)

    assert decode_name(encoded) == name
    assert not encoded.startswith(".")
    assert "/" not in encoded


def test_a_branch_belongs_to_its_run_and_an_operation_on_many_runs_to_itself() -> None:
    assert find_owner("order-1/fork[0]/inner[1]") == "order-1"
    assert find_owner("orchestrator.bulk/7") == "orchestrator.bulk/7"


def test_files_are_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "payloads")
    folder.write(build_key("n", "a", TEXT), TEXT)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [folder.root, *folder.root.rglob("*")] if path.is_dir()}

    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.root.rglob("*") if path.is_file()} == {0o600}


def _write_for_ever(root: Path, ready: Any) -> None:
    folder = Folder(root)
    for number in range(1_000_000):
        content = f"{number}:".encode() + TEXT * 20
        folder.write(build_key("n", "a", content), content)
        ready.set()


@pytest.mark.process
def test_a_process_that_is_killed_leaves_no_object_that_is_not_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_for_ever, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    stored = [path for path in (tmp_path / "n" / "a").iterdir() if not path.name.startswith(".")]

    assert stored
    assert [path.name for path in stored] == [sha256(path.read_bytes()).hexdigest() for path in stored]


async def test_parallel_writes_of_the_same_content_leave_one_object(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    key = build_key("n", "a", TEXT)
    await asyncio.gather(*(asyncio.to_thread(folder.write, key, TEXT) for _ in range(20)))

    assert [path.name for path in (tmp_path / "n" / "a").iterdir()] == [key.rpartition("/")[2]]


def test_an_object_that_is_there_is_renewed_and_one_that_is_damaged_replaced(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    key = build_key("n", "a", TEXT)
    path = tmp_path / key
    folder.write(key, TEXT)
    file = path.stat().st_ino
    os.utime(path, (1, 1))
    folder.write(key, TEXT)

    assert path.stat().st_ino == file
    assert path.stat().st_mtime > 1

    path.write_bytes(TEXT[:-1])
    folder.write(key, TEXT)

    assert folder.read(key) == TEXT
