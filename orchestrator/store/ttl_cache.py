"""A small cache for rows that are read far more often than they change."""

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class TtlCache(Generic[KeyT, ValueT]):
    """Values that expire a fixed time after they were requested; the oldest is evicted when the cache is full."""

    def __init__(
        self, max_entries: int, ttl_seconds: float = float("inf"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_entries = max_entries
        self.ttl_seconds = ttl_seconds
        self.clock = clock
        self._entries: dict[KeyT, tuple[float, ValueT]] = {}
        self._writes = 0

    async def get(self, key: KeyT, load: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """Return the cached value, or load it; what `load` raises is not cached."""
        entry = self._entries.get(key)
        if entry is not None and self.clock() - entry[0] < self.ttl_seconds:
            return entry[1]
        # A value that was requested before a write and arrives after it is already outdated.
        writes, requested_at = self._writes, self.clock()
        value = await load()
        if writes == self._writes:
            self._entries.pop(key, None)
            if len(self._entries) >= self.max_entries:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (requested_at, value)
        return value

    def pop(self, key: KeyT) -> None:
        """Invalidate one entry."""
        self._writes += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Invalidate the cache after a write."""
        self._writes += 1
        self._entries.clear()
