"""Connect to the database, translate its errors, and migrate its tables."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Interval, NullPool, cast, event, func, select, update
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.settings import Settings
from orchestrator.store.home import FOLDER_MODE, create_private_file
from orchestrator.store.sqlite_connection import connect_sqlite
from orchestrator.store.tables import installation

logger = logging.getLogger(__name__)
P = ParamSpec("P")
ResultT = TypeVar("ResultT")
HINT = "postgresql+asyncpg://user:password@host/name"
FILE = "orchestrator.db"
"""Name of the embedded database in the home directory."""
BUSY_SECONDS = 30.0
"""How long SQLite waits for the write lock."""
CONNECT_SECONDS = 5.0
"""How long a connection may take, the lookup of its name included."""
COMMAND_SECONDS = 10.0
"""How long PostgreSQL may take to answer one statement."""
MIGRATE_SECONDS = 3600.0
"""How long a migration may take."""
LOCK_SECONDS = 60
"""How long a migration waits for a lock that another session holds."""
POOL_SIZE = 20
DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
"""Driver by database; a driver named in the URL is ignored."""
CONFLICTS = ("40001", "40P01")
"""SQLSTATEs of a transaction that was rolled back for the sake of another one: serialization failure, deadlock."""
MAX_ATTEMPTS = 4
PAUSE_SECONDS = 0.02
"""Before a transaction is tried again; twice as long each time."""
UNAVAILABLE = ("08", "28", "3D", "40", "53", "57")
"""SQLSTATE classes: connection, authorization, unknown database, rollback, resources, operator intervention."""
INVALID_DATA = "22"
"""SQLSTATE class of values that a column cannot hold."""
DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
"""SQLite's errors for a file that it cannot read."""
STALE = AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError
"""A statement was prepared before the migration of a newer release; the driver prepares it again on the next use."""
BROKEN = AsyncAdapt_asyncpg_dbapi.InternalClientError
MIGRATION_LOCK = 7_365_221_340_911
"""PostgreSQL advisory lock that lets one process at a time migrate; an arbitrary number."""


class StoreUnavailable(OrchestratorError):
    """The database does not respond."""

    code = "store_unavailable"


class TransactionConflict(StoreUnavailable):
    """The database rolled the transaction back because it collided with another one."""


class StoreOutdated(OrchestratorError):
    """The tables of the database are missing or belong to an older release."""

    code = "store_outdated"


class ValueRefused(OrchestratorError):
    """The database cannot store a value: it is too long or not valid text."""

    code = "value_refused"


def retry_conflicts(
    method: Callable[P, Coroutine[Any, Any, ResultT]],
) -> Callable[P, Coroutine[Any, Any, ResultT]]:
    """Make a method that consists of one transaction try again where that collided with another one.

    PostgreSQL has rolled back all of it, and expects exactly this (chapter 13.5 of its manual).
    """

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        for attempt in range(MAX_ATTEMPTS - 1):
            try:
                return await method(*args, **kwargs)
            except TransactionConflict as error:
                logger.info("%s is tried again: %s", method.__qualname__, error)
                await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
        return await method(*args, **kwargs)

    return call


class Database:
    """Connections to the database. A transaction is a context: it is committed at its end, or rolled back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._warned_of_newer = False

    @asynccontextmanager
    async def read_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads; raises StoreUnavailable."""
        async with _translate_errors(self.engine), self.engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes; raises StoreUnavailable. A method of a store has `retry_conflicts` for it."""
        async with _translate_errors(self.engine), self.engine.connect() as connection:
            # On SQLite a transaction that starts as a reader and then writes fails at once with SQLITE_BUSY.
            connection = await connection.execution_options(writing=True)
            async with connection.begin():
                yield connection

    async def migrate(self) -> bool:
        """Migrate the tables; return `False`, and change nothing, where they belong to a newer release."""
        async with (
            _translate_errors(self.engine),
            asyncio.timeout(MIGRATE_SECONDS),
            _open_migration_engine(self.engine) as engine,
            engine.connect() as connection,
        ):
            connection = await connection.execution_options(writing=True)
            async with connection.begin():
                return self._is_known(await connection.run_sync(_upgrade))

    @retry_conflicts
    async def check_writable(self) -> None:
        """Raise StoreUnavailable where nothing can be written, for example because the disk is full."""
        async with self.write_transaction() as connection:
            await connection.execute(update(installation).values(id=installation.c.id))

    async def check(self) -> None:
        """Raise StoreOutdated where `migrate` has something to do.

        A revision unknown to this release belongs to a newer one. Migrations only add, so this release can use
        the tables while it is being replaced.
        """
        async with self.read_transaction() as connection:
            revision = await connection.run_sync(_read_revision)
        newest, *older = _list_revisions()
        if revision is None or revision in older:
            raise StoreOutdated(
                f"the database is at version {revision or 'none'}, this release needs {newest}",
                hint="run `orchestrator store migrate`",
            )
        self._is_known(revision)

    def _is_known(self, revision: str) -> bool:
        """Return whether this release knows the revision of the tables; warn once where it does not."""
        if revision in _list_revisions():
            return True
        if not self._warned_of_newer:
            logger.warning("the database is at version %s of a newer release; continuing with it", revision)
            self._warned_of_newer = True
        return False

    async def aclose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def get_database_url(settings: Settings) -> str:
    """Return the URL of the database: ORCHESTRATOR_DATABASE_URL, or a file in the home directory."""
    if settings.database_url is None:
        return f"sqlite+aiosqlite:///{settings.home.absolute() / FILE}"
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        raise SettingsError("ORCHESTRATOR_DATABASE_URL is not a database URL", hint=f"write it as {HINT}") from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise SettingsError(
            f"ORCHESTRATOR_DATABASE_URL: {url.get_backend_name()!r} is not supported; use PostgreSQL or SQLite",
            hint=f"write it as {HINT}",
        )
    query = dict(url.query)
    if driver == DRIVERS["postgresql"] and "sslmode" in query:
        query["ssl"] = query.pop("sslmode")  # libpq calls the option `sslmode`, asyncpg `ssl`
    return url.set(drivername=driver, query=query).render_as_string(hide_password=False)


def create_database(url: str, command_seconds: float = COMMAND_SECONDS) -> Database:
    """Create an engine without connecting; raises StoreUnavailable where the folder of SQLite cannot be created.

    `command_seconds` is the deadline of each statement on PostgreSQL.
    """
    if url.startswith("sqlite"):
        file = Path(make_url(url).database or "")
        try:
            file.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            if file.name and not file.name.startswith((":", "file:")):
                create_private_file(file)  # SQLite gives its mode to the files beside it
        except OSError as error:
            raise StoreUnavailable(f"cannot create the folder of the database: {error}") from error
        connect_args = {"timeout": BUSY_SECONDS, "async_creator_fn": connect_sqlite}
        # The connection that was used last: a write of any other one would have made the pages in its cache stale.
        engine = create_async_engine(url, connect_args=connect_args, pool_size=POOL_SIZE, pool_use_lifo=True)
        event.listen(engine.sync_engine, "connect", _on_connect)
        event.listen(engine.sync_engine, "begin", _on_begin)
        return Database(engine)
    return Database(
        create_async_engine(
            url,
            connect_args={"timeout": CONNECT_SECONDS, "command_timeout": command_seconds},
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_pre_ping=True,
            # A request that finds all connections busy waits as long as for one statement.
            pool_timeout=command_seconds,
        )
    )


def get_time(connection: AsyncConnection, plus: timedelta = timedelta()) -> Any:
    """Return the time of the database, as a value or an expression for a statement: clocks of machines differ."""
    if connection.dialect.name == "sqlite":  # a file of this machine
        return datetime.now(UTC) + plus
    return func.clock_timestamp() + cast(plus, Interval)


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # _on_begin begins the transactions
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    driver: Any = connection.connection.driver_connection
    driver.begin("BEGIN IMMEDIATE" if writing else "BEGIN")


@asynccontextmanager
async def _open_migration_engine(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Open an engine whose statements may take longer than those of requests."""
    if engine.dialect.name != "postgresql":
        yield engine
        return
    connect_args = {"timeout": CONNECT_SECONDS, "server_settings": {"lock_timeout": f"{LOCK_SECONDS}s"}}
    migration_engine = create_async_engine(engine.url, connect_args=connect_args, poolclass=NullPool)
    try:
        yield migration_engine
    finally:
        await migration_engine.dispose()


@asynccontextmanager
async def _translate_errors(engine: AsyncEngine) -> AsyncIterator[None]:
    """Raise StoreUnavailable and ValueRefused for errors of the driver; let programming errors pass."""
    try:
        yield
    except (UnicodeEncodeError, OverflowError) as error:  # raised by the driver of SQLite itself
        raise ValueRefused(f"the database cannot store a value: {error}") from error
    except PendingRollbackError as error:  # a statement was cut off, and the transaction with it
        raise StoreUnavailable from error
    except (TimeoutError, PoolTimeout, OSError, DBAPIError) as error:
        state = getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""
        if isinstance(error, DataError) or state.startswith(INVALID_DATA):
            raise ValueRefused(f"the database cannot store a value: {_shorten(error)}") from error
        if getattr(getattr(error, "orig", None), "sqlite_errorname", "").startswith(DAMAGED):
            raise StoreUnavailable(
                f"the database {engine.url.database} is damaged: {_shorten(error)}", hint="restore it from a backup"
            ) from error
        gone = not isinstance(error, DBAPIError) or _is_disconnect(error)
        if isinstance(error, DBAPIError) and isinstance(error.orig, STALE):
            raise StoreUnavailable("the tables have just been migrated; try again") from error
        if not gone and not state.startswith(UNAVAILABLE):
            raise
        if state in CONFLICTS:
            raise TransactionConflict(f"the transaction collided with another one: {_shorten(error)}") from error
        # Parameters of the URL may contain a password too.
        where = engine.url.set(query={}).render_as_string(hide_password=True)
        raise StoreUnavailable(f"the database does not respond: {where}: {_shorten(error)}") from error


def _is_disconnect(error: DBAPIError) -> bool:
    """Return whether the connection failed, or its protocol broke off as in a restart of the server."""
    return isinstance(error, InterfaceError | OperationalError) or isinstance(error.orig, BROKEN)


def _shorten(error: BaseException) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return (str(origin) or type(origin).__name__).splitlines()[0][:200]


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def _list_revisions() -> tuple[str, ...]:
    """Return the revisions that this release knows, the newest first."""
    return tuple(each.revision for each in ScriptDirectory.from_config(_make_config()).walk_revisions())


def _upgrade(connection: Connection) -> str:
    """Migrate tables whose revision this release knows, and return their revision."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    revision = _read_revision(connection)
    if revision is not None and revision not in _list_revisions():
        return revision
    config = _make_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return _list_revisions()[0]


def _read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
