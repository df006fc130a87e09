"""Background tasks of a service."""

import asyncio

import pytest

from orchestrator.service.background import run_in_background


async def test_who_is_cancelled_while_background_work_ends_is_cancelled() -> None:
    """The cancellation was lost, and who had asked for it waited for ever."""
    ending = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.Event().wait()

    async def serve() -> None:
        async with run_in_background(work(), "work"):
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve())
    await ending.wait()
    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_an_error_of_background_work_is_raised_at_the_end() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with run_in_background(fail(), "work"):
            await asyncio.sleep(0)
