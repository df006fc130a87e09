"""Entries of concurrent requests are written together, and outlast the requests."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from orchestrator.service.audit_writer import AuditWriter
from orchestrator.settings import Settings
from orchestrator.store.audit import Audit, AuditEntry
from orchestrator.store.database import create_database, get_database_url


class SlowAudit(Audit):
    """An audit log whose database answers once it is released."""

    def __init__(self, home: Path) -> None:
        super().__init__(create_database(get_database_url(Settings(home=home))))
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self.stored: list[str] = []

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        self.begun.set()
        await self.released.wait()
        self.stored += [each.target for each in entries]


async def test_a_request_that_is_cancelled_takes_no_entries_with_it(tmp_path: Path) -> None:
    """One is being written when its request is cancelled, and one waits for that write."""
    audit = SlowAudit(tmp_path)
    writer = AuditWriter(audit)
    requests = [asyncio.create_task(writer.record(AuditEntry("ci", "startRun", name))) for name in ("a", "b", "c")]
    await audit.begun.wait()
    for request in requests[:2]:
        request.cancel()
    await asyncio.wait(requests[:2])
    audit.released.set()
    await requests[2]

    assert sorted(audit.stored) == ["a", "b", "c"]
    assert [request.cancelled() for request in requests] == [True, True, False]
