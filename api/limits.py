"""Rate limits per API key: counted in this process over a sliding window."""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from orchestrator.errors import OrchestratorError


class TooManyRequests(OrchestratorError):
    """The rate limit is exceeded."""

    code = "too_many_requests"

    def __init__(self, allowed: str, seconds: int) -> None:
        self.seconds = seconds
        """Seconds until the next request is accepted."""
        super().__init__(f"more requests than {allowed}", hint=f"retry in {seconds} s")


class RateLimits:
    """The rate limits of one process."""

    def __init__(self, rate: str) -> None:
        self.rate = parse(rate)
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, who: str) -> None:
        """Count a request; raises TooManyRequests."""
        if not await self.limiter.hit(self.rate, who):
            stats = await self.limiter.get_window_stats(self.rate, who)
            raise TooManyRequests(str(self.rate), max(math.ceil(stats.reset_time - time.time()), 1))
