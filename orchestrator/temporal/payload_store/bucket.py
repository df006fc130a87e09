"""Objects in a bucket of S3, or of a service that speaks its protocol.

Region, endpoint and credentials come from the variables and files of the AWS tools: `AWS_REGION`,
`AWS_ENDPOINT_URL_S3`, `AWS_ACCESS_KEY_ID`, …
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import SettingsError
from orchestrator.temporal.payload_store.objects import PayloadUnavailable, StoredObject

if TYPE_CHECKING:
    from obstore.store import S3Store

REMOVED_AT_ONCE = 1_000
"""S3 removes no more with one request."""


class Bucket:
    """Objects below a URL `s3://bucket/prefix`; the library sends failed requests again, for up to 3 minutes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _open_store(url)

    def write(self, key: str, content: bytes) -> None:
        """Store an object; raises PayloadUnavailable."""
        import obstore

        try:
            obstore.put(self._store, key, content)
        except obstore.exceptions.BaseError as error:
            raise PayloadUnavailable(f"a payload cannot be written to {self.url}: {error!s:.300}") from error

    def read(self, key: str) -> bytes:
        """Return the content of an object; raises PayloadUnavailable."""
        import obstore

        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (obstore.exceptions.BaseError, FileNotFoundError) as error:
            raise PayloadUnavailable(f"the payload {key} cannot be read from {self.url}: {error!s:.300}") from error

    def list_owners(self, namespace: str) -> Iterator[str]:
        """Yield the names of owners."""
        import obstore

        for prefix in obstore.list_with_delimiter(self._store, namespace)["common_prefixes"]:
            yield prefix.rstrip("/").rpartition("/")[2]

    def list_of(self, namespace: str, owner: str) -> list[StoredObject]:
        """Return the objects of an owner."""
        import obstore

        pages = obstore.list(self._store, f"{namespace}/{owner}")
        return [StoredObject(entry["path"], entry["last_modified"]) for page in pages for entry in page]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        import obstore

        for start in range(0, len(keys), REMOVED_AT_ONCE):
            obstore.delete(self._store, keys[start : start + REMOVED_AT_ONCE])


def _open_store(url: str) -> "S3Store":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise SettingsError(
            "ORCHESTRATOR_PAYLOAD_STORE: buckets need the package obstore", hint="pip install '.[s3]' in the checkout"
        ) from None
    try:
        return S3Store.from_url(url)
    except (BaseError, ValueError) as error:
        raise SettingsError(f"ORCHESTRATOR_PAYLOAD_STORE: {error!s:.300}") from error
