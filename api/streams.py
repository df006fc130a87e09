"""Select the events of a stream, and end it once its caller is no longer admitted."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, aclosing
from typing import TypeVar

from orchestrator.model.run import Status
from orchestrator.store.database import StoreUnavailable
from orchestrator.temporal.history.stream_events import StepEvent, StreamEvent

logger = logging.getLogger(__name__)
CHECK_SECONDS = 2.0
"""How often an open stream checks its caller; keys are cached for a second."""

T = TypeVar("T")


async def follow_while(
    stream: AsyncIterator[T], is_admitted: Callable[[], Awaitable[bool]], seconds: float = CHECK_SECONDS
) -> AsyncIterator[T]:
    """Yield the items of a stream until it ends, or until the caller is no longer admitted.

    A database that does not answer ends no stream.
    """
    checked = time.monotonic()
    following = asyncio.ensure_future(anext(stream))
    try:
        while True:
            await asyncio.wait({following}, timeout=max(checked + seconds - time.monotonic(), 0))
            if time.monotonic() - checked >= seconds:
                if not await _check(is_admitted):
                    return
                checked = time.monotonic()
            if following.done():
                try:
                    item = following.result()
                except StopAsyncIteration:
                    return
                yield item
                following = asyncio.ensure_future(anext(stream))
    finally:
        following.cancel()
        await asyncio.wait({following})
        if not following.cancelled():
            following.exception()  # what it raised has been raised above, or has no reader
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def select_steps(
    stream: AsyncIterator[tuple[str, StreamEvent]], node_id: str | None, statuses: Collection[Status]
) -> AsyncIterator[tuple[str, StreamEvent]]:
    """Yield the events of a stream, but of steps only those of a node and of some statuses, where these are given."""
    async with AsyncExitStack() as stack:
        if isinstance(stream, AsyncGenerator):
            await stack.enter_async_context(aclosing(stream))
        async for reached, event in stream:
            if isinstance(event, StepEvent) and (
                node_id not in (None, event.node_id) or (statuses and event.status not in statuses)
            ):
                continue
            yield reached, event


async def _check(is_admitted: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await is_admitted()
    except StoreUnavailable as error:
        logger.warning("cannot check the API key of an open stream: %s", error)
        return True
