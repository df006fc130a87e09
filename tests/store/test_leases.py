"""Leases: the work stops where the lease may have been lost."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update

from orchestrator.store import leases as module
from orchestrator.store.database import Database, create_database
from orchestrator.store.leases import LeaseLost, Leases
from orchestrator.store.tables import leases
from tests.postgres import create_database_url
from tests.proxy import FrozenProxy, run_proxy


class Work:
    """Work that lasts until it is cancelled."""

    def __init__(self) -> None:
        self.is_running = False
        self.begun = asyncio.Event()

    async def run(self) -> None:
        self.is_running = True
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False


SECONDS = 120.0
"""How long a lease lasts that must not expire in a test, and how long anything may take."""


@pytest.fixture
def _renewed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew long leases several times in a second."""
    monkeypatch.setattr(module, "RENEWALS", SECONDS / 0.2)


async def read_end(database: Database) -> datetime:
    """Return when the lease expires."""
    async with database.read_transaction() as connection:
        end = await connection.scalar(select(leases.c.until))
    assert end is not None
    return end


@pytest.mark.usefixtures("_renewed_often")
async def test_work_ends_when_another_process_has_the_lease(database: Database) -> None:
    work, holder = Work(), Leases(database, "a")
    task = asyncio.create_task(holder.run_while_held("index", SECONDS, work.run))
    await work.begun.wait()

    assert await Leases(database, "b").run_while_held("index", SECONDS, work.run) is False

    async with database.write_transaction() as connection:
        await connection.execute(update(leases).values(holder="b"))
    async with asyncio.timeout(SECONDS):
        with pytest.raises(LeaseLost):
            await task
    assert not work.is_running


@pytest.mark.usefixtures("_renewed_often")
async def test_who_is_cancelled_while_work_without_a_lease_ends_is_cancelled(database: Database) -> None:
    """The cancellation was lost, the lost lease was logged, and a service that was ending went on."""
    begun, ending = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(Leases(database, "a").run_while_held("index", SECONDS, work))
    await begun.wait()
    async with database.write_transaction() as connection:
        await connection.execute(update(leases).values(holder="b"))
    async with asyncio.timeout(SECONDS):
        await ending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.usefixtures("_renewed_often")
async def test_a_lease_is_renewed_while_the_work_lasts(database: Database) -> None:
    """A long comparison of schedules outlasted its lease, and another process began one beside it."""
    holder = Leases(database, "a")

    async def work() -> None:
        for _ in range(4):
            end = await read_end(database)
            while await read_end(database) <= end:
                await asyncio.sleep(0.01)
            assert not await Leases(database, "b").acquire("index", SECONDS)

    async with asyncio.timeout(SECONDS):
        assert await holder.run_while_held("index", SECONDS, work)


@pytest.mark.postgresql
async def test_work_ends_when_the_database_does_not_answer(postgres: str) -> None:
    url = await create_database_url(postgres)
    name, port = url.rpartition("/")[2], int(postgres.rpartition(":")[2])
    async with run_proxy(FrozenProxy(port)) as proxy:
        user = postgres.split("@")[0]
        database = create_database(f"postgresql+asyncpg://{user}@127.0.0.1:{proxy.port}/{name}")
        await database.migrate()
        work = Work()
        task = asyncio.create_task(Leases(database, "a").run_while_held("index", 1.5, work.run))
        await work.begun.wait()
        proxy.freeze()

        async with asyncio.timeout(SECONDS):
            with pytest.raises(LeaseLost):
                await task
        assert not work.is_running
        await database.aclose()


@pytest.mark.postgresql
async def test_the_time_of_a_lease_is_that_of_the_database(postgres: str) -> None:
    """With the clock of each machine, a process whose clock is ahead takes a lease that another one holds."""
    url = (await create_database_url(postgres)).replace("://", "+asyncpg://")
    database = create_database(url)
    await database.migrate()
    slow_clock = (
        "CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz RETURN pg_catalog.now() - interval '1 hour'"
    )
    async with database.write_transaction() as connection:
        await connection.execute(text("CREATE SCHEMA slow"))
        await connection.execute(text(slow_clock))
        name = url.rpartition("/")[2]
        await connection.execute(text(f"ALTER DATABASE {name} SET search_path = slow, public, pg_catalog"))
    await database.aclose()

    assert await Leases(database, "a").acquire("index", 600)
    assert not await Leases(database, "b").acquire("index", 600)

    async with database.read_transaction() as connection:
        until = await connection.scalar(select(leases.c.until))
    assert until is not None
    assert until < datetime.now(UTC)
    await database.aclose()
