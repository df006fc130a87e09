"""Open the database, and bring its tables up to date."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, func, select
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.settings import Settings

logger = logging.getLogger(__name__)
HINT = "postgresql+asyncpg://user:password@host/name"
FILE = "orchestrator.db"
"""Of the embedded database, in the home."""
BUSY_SECONDS = 30.0
"""How long a write waits for another process's."""
POOL_SIZE = 20
DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
"""By the kind of database, whatever driver the URL names."""
UNAVAILABLE = ("08", "28", "3D", "40", "53", "57")
"""Classes of SQLSTATE: connection, authorization, no such database, rolled back, resources, shut down."""
INVALID_DATA = "22"
"""The class of values that a column cannot hold."""
STALE = AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError
"""A statement was prepared before a migration of a newer release; the driver prepares it anew the next time."""
MIGRATION_LOCK = 7_365_221_340_911
"""Of PostgreSQL: one process at a time changes the tables. Any number that nobody else takes."""


class StoreUnavailable(OrchestratorError):
    """Our database does not answer."""

    code = "store_unavailable"


class StoreOutdated(OrchestratorError):
    """The database's tables are of an older version of this program, or there are none."""

    code = "store_outdated"


class ValueRefused(OrchestratorError):
    """The database cannot hold a value: it is too long, or no text."""

    code = "value_refused"


class Database:
    """Connections to the database. A transaction is a block: it is kept whole or not at all."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._warned_of_newer = False

    @asynccontextmanager
    async def read_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Read; raises StoreUnavailable."""
        with_errors = _translate_errors(self.engine)
        async with with_errors, self.engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Read and write in one transaction; raises StoreUnavailable."""
        async with _translate_errors(self.engine), self.engine.connect() as connection:
            # SQLite gives a writer the lock at the start: one that asks halfway is refused at once.
            connection = await connection.execution_options(writing=True)
            async with connection.begin():
                yield connection

    async def migrate(self) -> bool:
        """Bring the tables up to date; `False` where they are of a newer release: then nothing is changed."""
        async with _translate_errors(self.engine), self.engine.connect() as connection:
            connection = await connection.execution_options(writing=True)
            async with connection.begin():
                return self._is_known(await connection.run_sync(_upgrade))

    async def check(self) -> None:
        """Raise StoreOutdated where `migrate` has something to do.

        A version that this release does not know is of a newer one: migrations only add, so the tables serve
        this release too while it is being replaced.
        """
        async with self.read_transaction() as connection:
            found = await connection.run_sync(_read_revision)
        newest, *older = _list_revisions()
        if found is None or found in older:
            hint = "run `orchestrator store migrate` of the release that serves"
            raise StoreOutdated(f"the database is at version {found or 'none'}, this release needs {newest}", hint=hint)
        self._is_known(found)

    def _is_known(self, revision: str) -> bool:
        """Tell whether this release made the tables; warn once where it did not."""
        if revision in _list_revisions():
            return True
        if not self._warned_of_newer:
            logger.warning("the database is at version %s of a newer release, this one goes on with it", revision)
            self._warned_of_newer = True
        return False

    async def aclose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def get_database_url(settings: Settings) -> str:
    """Give the address of the database: as set, or a file in the home."""
    if settings.database_url is None:
        return f"sqlite+aiosqlite:///{settings.home.absolute() / FILE}"
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        raise SettingsError("ORCHESTRATOR_DATABASE_URL is no database URL", hint=HINT) from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise SettingsError(f"{url.get_backend_name()!r} is no database that is known", hint=HINT)
    query = dict(url.query)
    if driver == DRIVERS["postgresql"] and "sslmode" in query:
        query["ssl"] = query.pop("sslmode")  # libpq's name of the option, and asyncpg's
    return url.set(drivername=driver, query=query).render_as_string(hide_password=False)


def create_database(url: str) -> Database:
    """Make an engine; nothing is connected yet. Raises StoreUnavailable where SQLite's folder cannot be."""
    if url.startswith("sqlite"):
        folder = Path(make_url(url).database or "").parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"the folder of the database cannot be made: {error}") from error
        engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=POOL_SIZE)
        event.listen(engine.sync_engine, "connect", _on_connect)
        event.listen(engine.sync_engine, "begin", _on_begin)
        return Database(engine)
    return Database(create_async_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, pool_pre_ping=True))


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@asynccontextmanager
async def _translate_errors(engine: AsyncEngine) -> AsyncIterator[None]:
    """Translate what says that nobody is there, or that a value is refused; anything else is a fault of ours."""
    try:
        yield
    except (UnicodeEncodeError, OverflowError) as error:  # SQLite's driver, before it asks
        raise ValueRefused(f"the database cannot hold a value: {error}") from error
    except (TimeoutError, PoolTimeout, OSError, DBAPIError) as error:
        state = getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""
        if isinstance(error, DataError) or state.startswith(INVALID_DATA):
            raise ValueRefused(f"the database cannot hold a value: {_short(error)}") from error
        gone = not isinstance(error, DBAPIError) or isinstance(error, InterfaceError | OperationalError)
        if isinstance(error, DBAPIError) and isinstance(error.orig, STALE):
            raise StoreUnavailable("the database's tables have just been changed: try again") from error
        if not gone and not state.startswith(UNAVAILABLE):
            raise
        # What follows the name may hold a password too.
        where = engine.url.set(query={}).render_as_string(hide_password=True)
        raise StoreUnavailable(f"the database does not answer: {where}: {_short(error)}") from error


def _short(error: BaseException) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return (str(origin) or type(origin).__name__).splitlines()[0][:200]


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def _list_revisions() -> tuple[str, ...]:
    """Name the versions that this release knows, the newest first."""
    return tuple(each.revision for each in ScriptDirectory.from_config(_make_config()).walk_revisions())


def _upgrade(connection: Connection) -> str:
    """Bring the tables up to date where this release knows them; give their version then."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    found = _read_revision(connection)
    if found is not None and found not in _list_revisions():
        return found
    config = _make_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return _list_revisions()[0]


def _read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
