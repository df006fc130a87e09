"""Create the database engines of `sql.query`: a session for each statement, and SQLite without a way to other files.

A session that served one customer is closed, never given to the next: temporary tables, roles and settings end with it.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

CONNECT_SECONDS = 10.0
"""How long a connection may take, the lookup of its name included."""
READ_ONLY = "ro"
WRITABLE_MODES = ("rw", "rwc")
"""Values of `mode` in the URL of a SQLite database that may be changed; `rwc` creates it too (sqlite.org/uri.html)."""
READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION}
    | {sqlite3.SQLITE_SAVEPOINT}
)
OTHER_FILES = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
"""`VACUUM INTO` asks for SQLITE_ATTACH too."""
LOADING_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})
READING_PRAGMAS = frozenset(
    (
        *("application_id", "collation_list", "compile_options", "data_version", "encoding", "foreign_keys"),
        *("freelist_count", "function_list", "page_count", "page_size", "read_uncommitted", "schema_version"),
        *("table_list", "user_version"),
    )
)
"""Pragmas that may be read, not set. `database_list` is not among them: it shows where the file is."""
SCHEMA_PRAGMAS = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)
"""Pragmas that take the name of a table or an index."""


def create_engine(text: str) -> AsyncEngine:
    """Return the engine of a database URL; raises ArgumentError."""
    url = make_url(text)
    if url.get_backend_name() != "sqlite":
        options = {"timeout": CONNECT_SECONDS} if url.get_driver_name() == "asyncpg" else {}
        return create_async_engine(url, poolclass=NullPool, connect_args=options)
    mode = str(url.query.get("mode", READ_ONLY))
    engine = create_async_engine(_build_sqlite_url(url, mode), poolclass=NullPool)
    writable = mode in WRITABLE_MODES

    @event.listens_for(engine.sync_engine, "connect")
    def guard(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # `begin` below begins the transactions
        connection.run_async(
            lambda driver: driver.set_authorizer(
                lambda operation, first, second, database, trigger: _authorize(operation, first, second, writable)
            )
        )

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # sqlite3 itself begins none for a statement that starts with `with`: its changes could not be rolled back.
        connection.exec_driver_sql("BEGIN")

    return engine


def _build_sqlite_url(url: URL, mode: str) -> URL:
    """Return the URL as a `file:` URI with its mode; SQLite then refuses what the mode does not allow."""
    query = {name: value for name, value in url.query.items() if name not in ("mode", "uri")}
    if not url.database or url.database == ":memory:":
        return url.set(query=query)
    path = url.database.removeprefix("file:")
    return url.set(database=f"file:{quote(str(Path(path).absolute()))}", query={**query, "mode": mode, "uri": "true"})


def _authorize(operation: int, first: str | None, second: str | None, writable: bool) -> int:
    """Decide on one operation of a statement (sqlite.org/c3ref/set_authorizer.html)."""
    if operation in OTHER_FILES:
        return sqlite3.SQLITE_DENY
    if operation == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        allowed = name in SCHEMA_PRAGMAS or (name in READING_PRAGMAS and second is None)
    elif operation == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").lower() not in LOADING_FUNCTIONS
    else:
        allowed = writable or operation in READING
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
