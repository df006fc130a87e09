"""Processes to kill, and what their runs do to others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.killed_processes import PATIENCE, Dev, Effects


@pytest.fixture
async def effects() -> AsyncIterator[Effects]:
    made = Effects()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    for task in list(made.serving):
        task.cancel()
    await asyncio.gather(*made.serving, return_exceptions=True)


@pytest.fixture
async def devs() -> AsyncIterator[list[Dev]]:
    """End what a failing test leaves running."""
    started: list[Dev] = []
    yield started
    for dev in started:
        if dev.process.returncode is None:
            dev.process.terminate()
        async with asyncio.timeout(PATIENCE):
            await dev.process.wait()
