"""Leases on work that one process at a time does, with a mark of how far it has got.

All times are those of the database: the clocks of the machines may differ by more than a lease lasts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database, StoreUnavailable, get_time, retry_conflicts
from orchestrator.store.tables import leases

logger = logging.getLogger(__name__)
RENEWALS = 3
"""Renewals of a lease before it would expire."""


class LeaseLost(OrchestratorError):
    """The lease was not renewed in time, so that another process may do the work."""

    code = "lease_lost"


class Leases:
    """Leases by name; one that is not renewed expires."""

    def __init__(self, database: Database, holder: str) -> None:
        self.database = database
        self.holder = holder

    @retry_conflicts
    async def acquire(self, name: str, seconds: float) -> bool:
        """Acquire or renew a lease; return `False` while another process holds it."""
        async with self.database.write_transaction() as connection:
            is_sqlite = connection.dialect.name == "sqlite"
            until = get_time(connection, timedelta(seconds=seconds))
            insert = (sqlite.insert if is_sqlite else postgresql.insert)(leases)
            statement = insert.values(name=name, holder=self.holder, until=until)
            done = await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
                    where=or_(leases.c.holder == self.holder, leases.c.until <= get_time(connection)),
                )
            )
        return done.rowcount == 1

    async def run_while_held(self, name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Do the work and renew the lease meanwhile; return `False` while another process holds it.

        Where the lease cannot be renewed before it expires, the work is cancelled; raises LeaseLost.
        """
        expires = time.monotonic() + seconds
        if not await self.acquire(name, seconds):
            return False
        task = asyncio.create_task(work())
        try:
            while not await _ends_within(task, seconds / RENEWALS):
                asked = time.monotonic()
                if await self._renew(name, seconds, expires - asked):
                    expires = asked + seconds
                elif time.monotonic() >= expires:
                    raise LeaseLost(f"the lease {name!r} was not renewed in time")
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return True

    async def _renew(self, name: str, seconds: float, deadline: float) -> bool:
        """Renew a lease; return whether the database answered in time. Raises LeaseLost where another one holds it."""
        try:
            async with asyncio.timeout(max(deadline, 0)):
                held = await self.acquire(name, seconds)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("cannot renew the lease %r: %s", name, error)
            return False
        if not held:
            raise LeaseLost(f"another process holds the lease {name!r}")
        return True

    @retry_conflicts
    async def release(self, name: str) -> None:
        """Release a lease before it expires."""
        async with self.database.write_transaction() as connection:
            mine = (leases.c.name == name, leases.c.holder == self.holder)
            await connection.execute(update(leases).where(*mine).values(until=get_time(connection)))

    async def get_mark(self, name: str) -> datetime | None:
        """Return how far the work has got."""
        async with self.database.read_transaction() as connection:
            mark: datetime | None = await connection.scalar(select(leases.c.mark).where(leases.c.name == name))
        return mark

    @retry_conflicts
    async def set_mark(self, name: str, mark: datetime) -> None:
        """Record how far the work has got."""
        async with self.database.write_transaction() as connection:
            await connection.execute(update(leases).where(leases.c.name == name).values(mark=mark))


async def _ends_within(task: "asyncio.Task[None]", seconds: float) -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()
