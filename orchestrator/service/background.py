"""Work that goes on beside requests."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from orchestrator.errors import ServerUnavailable
from orchestrator.store.database import StoreUnavailable

logger = logging.getLogger(__name__)


@asynccontextmanager
async def run_every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do the work again and again until the block ends, whatever happens to one round of it."""

    async def loop() -> None:
        while True:
            try:
                await work()
            except (ServerUnavailable, StoreUnavailable) as error:
                logger.warning("%s: waiting: %s", name, error)
            except Exception:
                logger.exception("%s: this round has failed", name)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(loop(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
