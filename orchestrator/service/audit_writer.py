"""Write audit entries. Those of concurrent requests share a transaction: every transaction waits for the disk."""

import asyncio
import json
import logging
from dataclasses import asdict

from orchestrator.store.audit import Audit, AuditEntry

logger = logging.getLogger(__name__)


class AuditWriter:
    """Writes each entry before the response of its request is sent."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self._waiting: list[AuditEntry] = []
        self._lock = asyncio.Lock()
        """Held during a write, for which the next one waits."""

    async def record(self, entry: AuditEntry) -> None:
        """Record a change that has been made. One that cannot be written is logged instead: it cannot be undone.

        A request that is cancelled meanwhile takes neither its own entry with it nor those of others in its batch.
        """
        self._waiting.append(entry)
        await asyncio.shield(self._write_waiting())

    async def _write_waiting(self) -> None:
        async with self._lock:
            batch, self._waiting = self._waiting, []
            if not batch:  # written with the batch of another request
                return
            try:
                await self.audit.add(batch)
            except Exception:
                lines = "\n".join(json.dumps(asdict(each), default=str) for each in batch)
                logger.exception("audit entries could not be written:\n%s", lines)
