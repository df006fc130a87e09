"""Started runs are written together, and earlier where a list needs them."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.model.run import RunSummary
from orchestrator.service import index_writer
from orchestrator.service.index_writer import IndexWriter
from orchestrator.settings import Settings
from orchestrator.store.database import create_database, get_database_url
from orchestrator.store.run_index import RunIndex


class SlowIndex(RunIndex):
    """An index whose database answers once it is released."""

    def __init__(self, home: Path) -> None:
        super().__init__(create_database(get_database_url(Settings(home=home))))
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self.stored: list[str] = []

    async def put(self, summaries: Iterable[RunSummary]) -> None:
        self.begun.set()
        await self.released.wait()
        self.stored += [each.id for each in summaries]


@pytest.fixture
async def index(tmp_path: Path) -> SlowIndex:
    return SlowIndex(tmp_path)


@pytest.fixture
def writer(index: SlowIndex) -> IndexWriter:
    """A writer with one run that waits."""
    writer = IndexWriter(index)
    values = {"workflow_id": "w", "workflow_version": 1, "customer_id": "acme", "status": "running"}
    writer.waiting.append(RunSummary(id="first", started_at=datetime.now(UTC), **values))
    return writer


async def test_a_flush_waits_for_a_write_in_progress(writer: IndexWriter, index: SlowIndex) -> None:
    """The background task may just have taken the run that the list needs."""
    background = asyncio.create_task(writer.flush())
    await index.begun.wait()

    listing = asyncio.create_task(writer.flush())
    await asyncio.sleep(0)
    assert not listing.done()
    index.released.set()
    await listing

    assert index.stored == ["first"]
    await background


async def test_a_flush_that_is_cancelled_or_takes_too_long_loses_nothing(
    writer: IndexWriter, index: SlowIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = asyncio.create_task(writer.flush())
    await index.begun.wait()
    cancelled.cancel()
    monkeypatch.setattr(index_writer, "FLUSH_SECONDS", 0.01)
    await writer.flush()
    assert index.stored == []

    index.released.set()
    async with writer.run_in_background():
        pass

    assert index.stored == ["first"]
