"""A connection to SQLite that calls its thread once for each statement.

aiosqlite has a thread for each connection, and each call of it costs two switches of threads. SQLAlchemy makes eight
for a transaction of one INSERT: to open, execute and close a cursor for BEGIN and again for the statement, to commit,
and to roll back what has been committed. Here there are two: `BEGIN` with the first statement, and `COMMIT`.
"""

import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import aiosqlite


class SqliteConnection(aiosqlite.Connection):
    """A connection for SQLAlchemy. Each transaction is announced by `begin`, and ends by `commit` or `rollback`."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=1)
        self._begin: str | None = None
        """Executed with the first statement."""
        self._is_clean = True
        """No statement has been sent since the last transaction ended."""

    def begin(self, statement: str) -> None:
        """Begin a transaction with its first statement."""
        self._begin = statement

    async def call(self, method: Callable[..., sqlite3.Cursor], *arguments: Any) -> tuple[sqlite3.Cursor, list[Any]]:
        """Execute a statement and return its cursor with all rows."""
        begin, self._begin, self._is_clean = self._begin, None, False

        def execute() -> tuple[sqlite3.Cursor, list[Any]]:
            if begin is not None:
                try:
                    self._conn.execute(begin)
                except sqlite3.Error:
                    self._begin = begin  # no statement may be executed outside of the transaction
                    raise
            cursor = method(self._conn, *arguments)
            return cursor, cursor.fetchall()

        result: tuple[sqlite3.Cursor, list[Any]] = await self._execute(execute)  # type: ignore[no-untyped-call]
        return result

    async def commit(self) -> None:
        """Commit what has been executed, if anything has."""
        await self._end(super().commit)

    async def rollback(self) -> None:
        """Roll back what has been executed, if anything has: also what a cancelled task has left in the thread."""
        await self._end(super().rollback)

    async def _end(self, end: Callable[[], Any]) -> None:
        self._begin = None
        if not self._is_clean:
            await end()
            self._is_clean = True

    def cursor(self) -> "SqliteCursor":  # type: ignore[override]  # SQLAlchemy enters it as a context
        """Return a cursor that is not yet one of SQLite."""
        return SqliteCursor(self)


class SqliteCursor:
    """The part of a cursor that SQLAlchemy uses; it has all rows once a statement is executed."""

    description: Any = None
    rowcount = -1
    lastrowid: int | None = None

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> "SqliteCursor":
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> None:
        """Execute a statement."""
        await self._call(sqlite3.Connection.execute, sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Execute a statement with each of several rows of parameters."""
        await self._call(sqlite3.Connection.executemany, sql, parameters)

    async def _call(self, method: Callable[..., sqlite3.Cursor], *arguments: Any) -> None:
        cursor, self._rows = await self._connection.call(method, *arguments)
        self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Free the rows."""
        self._rows = []


def connect_sqlite(database: str, **options: Any) -> SqliteConnection:
    """Return a connection that is opened when it is awaited; the options are those of `sqlite3.connect`."""
    connection = SqliteConnection(partial(sqlite3.connect, database, **options))
    connection._thread.daemon = True  # as SQLAlchemy does
    return connection
