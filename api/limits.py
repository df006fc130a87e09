"""How many requests a key may make: counted in this process, over a sliding window."""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from orchestrator.errors import OrchestratorError


class TooManyRequests(OrchestratorError):
    """More requests than are allowed."""

    code = "too_many_requests"

    def __init__(self, allowed: str, seconds: int) -> None:
        self.seconds = seconds
        """After which the next one is taken."""
        super().__init__(f"more than {allowed}", hint=f"try again in {seconds} s")


class RateLimits:
    """The limits of one process."""

    def __init__(self, rate: str) -> None:
        self.rate = parse(rate)
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, who: str) -> None:
        """Count a request; raises TooManyRequests."""
        if not await self.limiter.hit(self.rate, who):
            stats = await self.limiter.get_window_stats(self.rate, who)
            raise TooManyRequests(str(self.rate), max(math.ceil(stats.reset_time - time.time()), 1))
