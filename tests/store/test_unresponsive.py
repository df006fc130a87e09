"""A database that stops answering, breaks off or can no longer be written to."""

import asyncio
import resource
import time

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InternalError, PendingRollbackError

from orchestrator.store.database import BROKEN, Database, StoreUnavailable, create_database
from tests.proxy import FrozenProxy, run_proxy


async def read_one(database: Database) -> int | None:
    async with database.read_transaction() as connection:
        return await connection.scalar(select(1))


async def read_one_in_time(database: Database) -> int | None:
    """Read, and again where the deadline is too short for a busy machine."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await read_one(database)
            except StoreUnavailable:
                continue


@pytest.mark.postgresql
async def test_a_server_that_stops_answering_is_unavailable_after_the_deadline(postgres: str) -> None:
    """Every request hung without limit while PostgreSQL was stopped by SIGSTOP."""
    user, port = postgres.split("@")[0], int(postgres.rpartition(":")[2])
    async with run_proxy(FrozenProxy(port)) as proxy:
        url = f"postgresql+asyncpg://{user}@127.0.0.1:{proxy.port}/postgres"
        database = create_database(url, command_seconds=1.0)
        assert await read_one_in_time(database) == 1
        before = time.monotonic()
        proxy.freeze()
        with pytest.raises(StoreUnavailable):
            await read_one(database)
        with pytest.raises(StoreUnavailable):
            await read_one(database)

        assert time.monotonic() - before < 60

        proxy.thaw()
        assert await read_one_in_time(database) == 1
        await database.aclose()


@pytest.mark.parametrize(
    "error",
    [
        InternalError("SELECT 1", {}, BROKEN("got result for unknown protocol state 3")),
        PendingRollbackError("the transaction was cut off"),
    ],
    ids=["protocol", "transaction"],
)
async def test_a_connection_that_breaks_off_is_an_outage(database: Database, error: Exception) -> None:
    """A restart of PostgreSQL was answered 500."""
    with pytest.raises(StoreUnavailable):
        async with database.read_transaction():
            raise error


async def test_a_full_disk_is_noticed(database: Database) -> None:
    await database.check_writable()
    if database.engine.dialect.name != "sqlite":
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))  # no file can grow, as on a full disk
    try:
        with pytest.raises(StoreUnavailable):
            await database.check_writable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
