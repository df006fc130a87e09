"""Leases on work that one process at a time does, with a mark of how far it has got."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.store.database import Database
from orchestrator.store.tables import leases


class Leases:
    """Leases by name; one that is not renewed expires."""

    def __init__(self, database: Database, holder: str) -> None:
        self.database = database
        self.holder = holder

    async def acquire(self, name: str, seconds: float) -> bool:
        """Acquire or renew a lease; return `False` while another process holds it."""
        now = datetime.now(UTC)
        values = {"name": name, "holder": self.holder, "until": now + timedelta(seconds=seconds)}
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            statement = make(leases).values(values)
            done = await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
                    where=or_(leases.c.holder == self.holder, leases.c.until <= now),
                )
            )
        return done.rowcount == 1

    async def release(self, name: str) -> None:
        """Release a lease before it expires."""
        async with self.database.write_transaction() as connection:
            mine = (leases.c.name == name, leases.c.holder == self.holder)
            await connection.execute(update(leases).where(*mine).values(until=datetime.now(UTC)))

    async def get_mark(self, name: str) -> datetime | None:
        """Return how far the work has got."""
        async with self.database.read_transaction() as connection:
            mark: datetime | None = await connection.scalar(select(leases.c.mark).where(leases.c.name == name))
        return mark

    async def set_mark(self, name: str, mark: datetime) -> None:
        """Record how far the work has got."""
        async with self.database.write_transaction() as connection:
            await connection.execute(update(leases).where(leases.c.name == name).values(mark=mark))
