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
async def every(seconds: float, what: str, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do the work again and again until the block ends, whatever happens to one round of it."""

    async def go() -> None:
        while True:
            try:
                await work()
            except (ServerUnavailable, StoreUnavailable) as error:
                logger.warning("%s: waiting: %s", what, error)
            except Exception:
                logger.exception("%s: this round has failed", what)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(go(), name=what)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
