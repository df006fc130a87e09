"""The port to where objects are stored, and the keys of objects: `<namespace>/<owner>/<SHA-256 of the content>`.

The owner of an object is a run, with its branches: it is the unit in which objects are removed. Equal content of two
runs is stored twice, so that what one customer removes is never missing for another.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, unquote

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.workflow_types import RESERVED_PREFIX

KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*/[A-Za-z0-9_=-][A-Za-z0-9._=-]*/[0-9a-f]{64}")
MARKS = "=marks"
"""In the place of an owner: the marks of the namespaces that store here. No name is encoded like this."""
MAX_NAME = 250
"""Characters of a file name: file systems accept 255 bytes."""


class PayloadUnavailable(ServerUnavailable):
    """A payload cannot be stored, or read again."""


class StoreRejected(PayloadUnavailable):
    """The payload store does not exist, or denies access; or it has no such payload."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, without its content."""

    key: str
    modified_at: datetime


class Objects(Protocol):
    """Objects by key. All methods block, may be called from any thread, and raise PayloadUnavailable."""

    def write(self, key: str, content: bytes) -> None:
        """Store an object durably; one that exists is replaced, and its time of modification is now."""

    def read(self, key: str) -> bytes:
        """Return the content of an object."""

    def list_owners(self, namespace: str) -> Iterable[str]:
        """Yield the names of owners, as they are in keys."""

    def list_of(self, namespace: str, owner: str) -> Sequence[StoredObject]:
        """Return the objects of an owner."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; it is no error if some are gone already."""


def find_owner(workflow_id: str) -> str:
    """Return the owner of the objects of a workflow: a branch belongs to its run."""
    return workflow_id if workflow_id.startswith(RESERVED_PREFIX) else workflow_id.partition("/")[0]


def encode_name(name: str) -> str:
    """Return a name as a part of a key, of characters that file systems and buckets take as they are."""
    encoded = quote(name, safe="").replace("~", "%7E").replace("%", "=")
    return f"=2E{encoded[1:]}" if encoded.startswith(".") else encoded


def decode_name(encoded: str) -> str:
    """Return what `encode_name` was given."""
    return unquote(encoded.replace("=", "%"))


def build_key(namespace: str, owner: str, content: bytes) -> str:
    """Return the key of a content."""
    return f"{encode_name(namespace)}/{encode_name(owner)}/{sha256(content).hexdigest()}"


def build_mark(namespace: str, identity: bytes) -> str:
    """Return the key of the mark of a namespace, by its encoded name and its own ID."""
    return f"{namespace}/{MARKS}/{sha256(identity).hexdigest()}"
