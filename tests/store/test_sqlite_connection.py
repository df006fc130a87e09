"""Transactions on SQLite: few calls of the thread, and nothing left open."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from orchestrator.settings import Settings
from orchestrator.store import database
from orchestrator.store.database import FILE, Database, create_database, get_database_url
from orchestrator.store.sqlite_connection import SqliteConnection
from orchestrator.store.tables import leases

BUSY_SECONDS = 120


@pytest.fixture
async def embedded(migrated: Path, tmp_path: Path) -> AsyncIterator[Database]:
    (tmp_path / FILE).write_bytes(migrated.read_bytes())
    database = create_database(get_database_url(Settings(home=tmp_path)))
    yield database
    await database.aclose()


def make_lease(name: str) -> dict[str, Any]:
    return {"name": name, "holder": "me", "until": datetime.now(UTC)}


async def write_lease(database: Database, name: str) -> None:
    async with database.write_transaction() as connection:
        await connection.execute(insert(leases).values(make_lease(name)))


async def list_leases(database: Database) -> list[str]:
    async with database.read_transaction() as connection:
        return list(await connection.scalars(select(leases.c.name).order_by(leases.c.name)))


async def test_a_statement_and_the_commit_are_the_only_calls_of_a_transaction(
    embedded: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await write_lease(embedded, "first")
    thread = await find_thread(embedded)

    with caplog.at_level(logging.DEBUG, "aiosqlite"):
        await write_lease(embedded, "second")
        written = count_calls(caplog, thread)
        caplog.clear()
        assert await list_leases(embedded) == ["first", "second"]

        assert (written, count_calls(caplog, thread)) == (2, 2)


async def find_thread(database: Database) -> int | None:
    """Return the ID of the thread of the only connection; services of other tests may have connections, too."""
    async with database.read_transaction() as connection:
        opened = (await connection.get_raw_connection()).driver_connection
        assert isinstance(opened, SqliteConnection)
        return opened._thread.ident


def count_calls(caplog: pytest.LogCaptureFixture, thread: int | None) -> int:
    """Count what the thread of a connection was given to do."""
    return sum(each.getMessage().startswith("executing ") and each.thread == thread for each in caplog.records)


async def test_rows_and_counts_of_a_statement_are_those_of_sqlite(embedded: Database) -> None:
    async with embedded.write_transaction() as connection:
        await connection.execute(insert(leases), [make_lease("a"), make_lease("b"), make_lease("c")])
        changed = await connection.execute(update(leases).where(leases.c.name > "a").values(holder="you"))
        returned = await connection.execute(update(leases).values(holder="they").returning(leases.c.name))

        assert (changed.rowcount, sorted(returned.scalars())) == (2, ["a", "b", "c"])


async def test_a_transaction_without_a_statement_is_none(embedded: Database) -> None:
    async with embedded.write_transaction():
        open_immediately(embedded).close()

    await write_lease(embedded, "after")


async def test_transactions_one_after_the_other_share_a_connection(embedded: Database) -> None:
    """In turn, the pages that one has in its cache were stale by the time it was used again."""
    async with embedded.read_transaction(), embedded.read_transaction(), embedded.read_transaction():
        pass
    used = set()
    for number in range(3):
        async with embedded.write_transaction() as connection:
            await connection.execute(insert(leases).values(make_lease(str(number))))
            used.add((await connection.get_raw_connection()).driver_connection)

    assert len(used) == 1


async def test_a_cancelled_transaction_leaves_nothing_open(embedded: Database) -> None:
    """Wherever it is cancelled: the statement may be waiting for the thread, running, or done."""
    for turns in range(12):
        writing = asyncio.create_task(write_lease(embedded, f"cancelled {turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        open_immediately(embedded).close()


async def test_a_failed_transaction_is_rolled_back_before_its_connection_is_used_again(embedded: Database) -> None:
    async def write_and_fail() -> None:
        async with embedded.write_transaction() as connection:
            await connection.execute(insert(leases).values(make_lease("lost")))
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()
    open_immediately(embedded).close()

    assert await list_leases(embedded) == []


async def test_no_statement_is_executed_outside_of_a_transaction_that_could_not_begin(
    embedded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    impatient = create_database(str(embedded.engine.url))
    other = open_immediately(embedded)

    async def write_twice_and_fail() -> None:
        async with impatient.write_transaction() as connection:
            with pytest.raises(OperationalError, match="locked"):
                await connection.execute(insert(leases).values(make_lease("first")))
            other.close()
            await connection.execute(insert(leases).values(make_lease("second")))
            raise LookupError

    with pytest.raises(LookupError):
        await write_twice_and_fail()
    await impatient.aclose()

    assert await list_leases(embedded) == []


def open_immediately(database: Database) -> sqlite3.Connection:
    """Open the file and take its write lock, for which an open transaction would make this wait and then fail."""
    connection = sqlite3.connect(str(database.engine.url.database), timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection
