"""Processes to kill, and what their runs do to others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.killed_processes import PATIENCE, Dev, Effects
from tests.stream_server import run_stream_server


@pytest.fixture
async def effects() -> AsyncIterator[Effects]:
    made = Effects()
    async with run_stream_server(made.serve) as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


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
