"""Limits of each API key, counted in this process: requests over a sliding window, and open streams."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from orchestrator.errors import OrchestratorError

STREAM_SECONDS = 5
"""When a client that has too many streams may try again; whether one has closed by then is up to the client."""


class TooManyRequests(OrchestratorError):
    """The rate limit is exceeded."""

    code = "too_many_requests"

    def __init__(self, message: str, seconds: int, hint: str | None = None) -> None:
        self.seconds = seconds
        """Seconds until the next request may be accepted."""
        super().__init__(message, hint=hint or f"retry in {seconds} s")


class RateLimits:
    """The rate limits of one process."""

    def __init__(self, rate: str) -> None:
        self.rate = parse(rate)
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, who: str) -> None:
        """Count a request; raises TooManyRequests."""
        if not await self.limiter.hit(self.rate, who):
            stats = await self.limiter.get_window_stats(self.rate, who)
            raise TooManyRequests(f"more requests than {self.rate}", max(math.ceil(stats.reset_time - time.time()), 1))


class OpenStreams:
    """The open event streams of one process: each reads from Temporal for as long as it is open."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._open: Counter[str] = Counter()

    @contextmanager
    def count(self, who: str) -> Iterator[None]:
        """Count a stream for the duration of the context; raises TooManyRequests."""
        if self._open[who] >= self.allowed:
            raise TooManyRequests(f"more than {self.allowed} open streams", STREAM_SECONDS, "close some of them")
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
