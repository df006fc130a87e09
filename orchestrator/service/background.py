"""Work that goes on beside requests."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

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

    async with run_in_background(loop(), name):
        yield


@asynccontextmanager
async def run_in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run a coroutine for the duration of the context, then cancel it and wait for its end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
