"""Look into the table of starts."""

from sqlalchemy import func, select

from orchestrator.store.database import Database
from orchestrator.store.deliveries import PENDING
from orchestrator.store.tables import starts


async def count_pending_starts(database: Database) -> int:
    """Return the number of pending starts."""
    async with database.read_transaction() as connection:
        query = select(func.count()).select_from(starts).where(starts.c.state == PENDING)
        return int((await connection.execute(query)).scalar_one())
