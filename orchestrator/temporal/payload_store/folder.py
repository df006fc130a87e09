"""Objects in a folder, for a single machine: of the embedded server, or on a disk that all processes share."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from orchestrator.temporal.payload_store.objects import PayloadUnavailable, StoredObject, StoreRejected

FOLDER_MODE = 0o700
FILE_MODE = 0o600
TEMPORARY = ".part-"
"""Begins the name of a file that is being written."""


class Folder:
    """Objects as files, readable by this user alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, key: str, content: bytes) -> None:
        """Store an object: on the disk when this returns, as the history that refers to it will be.

        Raises PayloadUnavailable.
        """
        path = self.root / key
        try:
            if not _renew(path, content):
                self._write_file(path, content)
            for folder in (path.parent, path.parent.parent, self.root):
                _sync_folder(folder)
        except OSError as error:
            raise StoreRejected(f"a payload cannot be written to {self.root}: {error.strerror}") from error

    def _write_file(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
        while True:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, path.parent.parent, path.parent):
                folder.mkdir(FOLDER_MODE, exist_ok=True)
            with suppress(FileNotFoundError):  # a sweep has removed the folder, which was empty
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
                break
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def read(self, key: str) -> bytes:
        """Return the content of an object; raises PayloadUnavailable."""
        try:
            return (self.root / key).read_bytes()
        except OSError as error:
            raise PayloadUnavailable(f"the payload {key} cannot be read from {self.root}: {error.strerror}") from error

    def list_owners(self, namespace: str) -> Iterator[str]:
        """Yield the names of owners."""
        with suppress(FileNotFoundError):
            # Other programs leave files of their own, such as `.DS_Store`.
            yield from (entry.name for entry in os.scandir(self.root / namespace) if entry.is_dir())

    def list_of(self, namespace: str, owner: str) -> list[StoredObject]:
        """Return the objects of an owner, and what killed processes have left of others."""
        found = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.root / namespace / owner):
                moment = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                found.append(StoredObject(f"{namespace}/{owner}/{entry.name}", moment))
        return found

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, and the folders that are empty then."""
        for key in keys:
            (self.root / key).unlink(missing_ok=True)
        for folder in dict.fromkeys((self.root / key).parent for key in keys):
            with suppress(OSError):
                folder.rmdir()


def _renew(path: Path, content: bytes) -> bool:
    """Set the time of modification of a file that has the content already; return whether there is one.

    A run that continues as new stores most of its chunks again.
    """
    try:
        if path.read_bytes() != content:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
