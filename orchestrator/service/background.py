"""Background tasks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.errors import ServerUnavailable
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.leases import LeaseLost, Leases

logger = logging.getLogger(__name__)


@asynccontextmanager
async def run_every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Repeat the work for the duration of the context; an error is logged and does not end it."""

    async def repeat() -> None:
        while True:
            try:
                await work()
            except (ServerUnavailable, StoreUnavailable, LeaseLost) as error:
                logger.warning("%s: unavailable, trying again: %s", name, error)
            except Exception:
                logger.exception("%s: failed, trying again", name)
            await asyncio.sleep(seconds)

    async with run_in_background(repeat(), name):
        yield


@asynccontextmanager
async def run_every_with_lease(
    seconds: float, name: str, work: Callable[[], Awaitable[object]], leases: Leases, lease: str
) -> AsyncIterator[None]:
    """Repeat the work, which takes the lease, for the duration of the context; then let another process have it."""
    async with run_every(seconds, name, work):
        yield
    with contextlib.suppress(StoreUnavailable):
        await leases.release(lease)


@asynccontextmanager
async def run_in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run a coroutine for the duration of the context, then cancel it and wait for its end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        # Where the caller is cancelled meanwhile, this cancels the task again, waits for it, and raises CancelledError.
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Exception):
            raise result
