"""Objects in a bucket of S3, or of a service that speaks its protocol.

Region, endpoint and credentials come from the variables of the AWS tools: `AWS_REGION`, `AWS_ENDPOINT_URL_S3`,
`AWS_ACCESS_KEY_ID`, … Their files in `~/.aws` are not read.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.errors import SettingsError
from orchestrator.temporal.payload_store.objects import PayloadUnavailable, StoredObject, StoreRejected

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Store

REMOVED_AT_ONCE = 1_000
"""S3 removes no more with one request."""
RETRIES: "RetryConfig" = {
    "max_retries": 1_000,
    "retry_timeout": timedelta(minutes=2),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
}
"""Failed requests are sent again for two minutes, however many these are.

The library's own 10 retries are over after 2 to 3 seconds where connections are refused. A result that cannot be
stored costs an attempt of its action, so a run would fail after some 10 seconds without its bucket.
"""
NO_RETRIES: "RetryConfig" = {"max_retries": 0}
ANSWER = re.compile(r"<Code>(?P<code>[^<]*)</Code>\s*<Message>(?P<message>[^<]*)</Message>")
"""What S3 says in an error."""
DEBUG_PART = "\n\nDebug source:"


class Bucket:
    """Objects below a URL `s3://bucket/prefix`. Methods raise PayloadUnavailable."""

    def __init__(self, url: str, retries: "RetryConfig" = RETRIES) -> None:
        self.url = url
        self._store = _open_store(url, retries)

    def write(self, key: str, content: bytes) -> None:
        """Store an object."""
        import obstore

        with _translate_errors(f"a payload cannot be written to {self.url}"):
            obstore.put(self._store, key, content)

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        import obstore

        with _translate_errors(f"the payload {key} cannot be read from {self.url}"):
            return bytes(obstore.get(self._store, key).bytes())

    def list_owners(self, namespace: str) -> Iterator[str]:
        """Yield the names of owners."""
        import obstore

        with _translate_errors(f"payloads cannot be listed in {self.url}"):
            prefixes = obstore.list_with_delimiter(self._store, namespace)["common_prefixes"]
        for prefix in prefixes:
            yield prefix.rstrip("/").rpartition("/")[2]

    def list_of(self, namespace: str, owner: str) -> list[StoredObject]:
        """Return the objects of an owner."""
        import obstore

        with _translate_errors(f"payloads cannot be listed in {self.url}"):
            pages = obstore.list(self._store, f"{namespace}/{owner}")
            return [StoredObject(entry["path"], entry["last_modified"]) for page in pages for entry in page]

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        import obstore

        with _translate_errors(f"payloads cannot be removed from {self.url}"):
            for start in range(0, len(keys), REMOVED_AT_ONCE):
                obstore.delete(self._store, keys[start : start + REMOVED_AT_ONCE])


@contextmanager
def _translate_errors(failure: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError, FileNotFoundError) as error:
        raise StoreRejected(f"{failure}: {_summarize(error)}") from error
    except (BaseError, OSError) as error:
        raise PayloadUnavailable(f"{failure}: {_summarize(error)}") from error


def _summarize(error: Exception) -> str:
    text = str(error).partition(DEBUG_PART)[0]
    answer = ANSWER.search(text)
    return f"{answer['code']}: {answer['message']}" if answer else f"{text:.300}"


def _open_store(url: str, retries: "RetryConfig") -> "S3Store":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise SettingsError(
            "ORCHESTRATOR_PAYLOAD_STORE: buckets need the package obstore", hint="pip install '.[s3]' in the checkout"
        ) from None
    try:
        return S3Store.from_url(url, retry_config=retries)
    except (BaseError, ValueError) as error:
        raise SettingsError(f"ORCHESTRATOR_PAYLOAD_STORE: {error!s:.300}") from error
