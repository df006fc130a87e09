"""Connections, errors and migrations of the database."""

import contextlib
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator import store
from orchestrator.errors import SettingsError
from orchestrator.model.run import RunSummary
from orchestrator.service.services import open_database
from orchestrator.settings import Settings
from orchestrator.store.api_keys import Keys
from orchestrator.store.database import (
    Database,
    StoreOutdated,
    StoreUnavailable,
    create_database,
    get_database_url,
)
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.tables import leases, metadata, runs
from orchestrator.store.workflows import Definitions
from tests.postgres import create_database_url, find_binary

ROOT = Path(__file__).parents[2]


async def test_migrations_create_the_tables_of_the_code(empty: Database) -> None:
    with pytest.raises(StoreOutdated):
        await empty.check()
    await empty.migrate()
    await empty.migrate()
    await empty.check()

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with empty.read_transaction() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_transaction_is_committed_or_rolled_back_as_a_whole(database: Database) -> None:
    async def write_half() -> None:
        async with database.write_transaction() as connection:
            await Leases(database, "me").get_mark("unrelated")  # a concurrent reader is not blocked
            values = {"name": "half", "holder": "me", "until": datetime.now(UTC)}
            await connection.execute(insert(leases).values(values))
            raise LookupError

    with pytest.raises(LookupError):
        await write_half()

    async with database.read_transaction() as connection:
        assert list(await connection.execute(select(leases))) == []


async def test_an_unreachable_server_is_reported_without_the_password() -> None:
    url = get_database_url(Settings(database_url="postgresql://me:s3cret@127.0.0.1:9/none"))
    database = create_database(url)

    with pytest.raises(StoreUnavailable) as caught:
        await database.check()

    assert "127.0.0.1:9" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    await database.aclose()


async def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """SQLite raises DatabaseError, not one of the errors of an unreachable database: it ended in a traceback."""
    (tmp_path / "orchestrator.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match=r"orchestrator\.db is damaged: file is not a database"):
        async with open_database(Settings(home=tmp_path)):
            pass


def test_a_malformed_database_url_is_reported() -> None:
    with pytest.raises(SettingsError, match="is not a database URL"):
        get_database_url(Settings(database_url="not a url"))


@pytest.mark.parametrize("url", ["mysql://me:s3cret@127.0.0.1/none", "oracle://me:s3cret@x/y"])
def test_an_unsupported_database_is_reported(url: str) -> None:
    with pytest.raises(SettingsError, match="is not supported") as caught:
        get_database_url(Settings(database_url=url))

    assert "s3cret" not in str(caught.value)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("url_format", "message"),
    [
        ("postgresql://test@{host}/nothere?password=s3cret", 'database "nothere" does not exist'),
        ("postgresql://nobody:s3cret@{host}/postgres", 'role "nobody" does not exist'),
    ],
)
async def test_rejected_credentials_are_reported_without_the_password(
    postgres: str, url_format: str, message: str
) -> None:
    url = url_format.format(host=postgres.partition("@")[2])
    database = create_database(get_database_url(Settings(database_url=url)))

    with pytest.raises(StoreUnavailable) as caught:
        await database.check()

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)
    await database.aclose()


@pytest.mark.postgresql
async def test_the_option_sslmode_is_translated(postgres: str) -> None:
    database = create_database(
        get_database_url(Settings(database_url=f"postgresql://{postgres}/postgres?sslmode=disable"))
    )

    with pytest.raises(StoreOutdated, match="at version none"):
        await database.check()

    await database.aclose()


def test_a_home_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="cannot create the folder"):
        create_database(get_database_url(Settings(home=tmp_path / "file" / "home")))


async def test_an_exhausted_connection_pool_is_reported(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db", pool_size=1, max_overflow=0, pool_timeout=0.01)
    database = Database(engine)

    async with database.read_transaction():
        with pytest.raises(StoreUnavailable, match="does not respond"):
            await database.check()

    await database.aclose()


FIRST_COLUMNS = {
    "id", "customer_id", "workflow_id", "workflow_version", "status", "trigger_type", "started_at", "completed_at",
    "duration_ms",
}  # fmt: skip


async def test_rows_survive_a_migration(empty: Database) -> None:
    def first(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    run = RunSummary(
        id="r", workflow_id="w", workflow_version=1, customer_id="acme", status="running", trigger_type="manual",
        started_at=datetime(2026, 5, 1, tzinfo=UTC), completed_at=None, duration_ms=None,
    )  # fmt: skip
    async with empty.write_transaction() as connection:
        await connection.run_sync(first)
        await connection.execute(insert(runs).values(run.model_dump(include=FIRST_COLUMNS)))
    with pytest.raises(StoreOutdated, match="at version 0001"):
        await empty.check()

    await empty.migrate()

    await empty.check()
    assert await RunIndex(empty).list_runs("acme") == [run]


async def test_a_database_of_a_newer_release_is_used_and_not_migrated(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """While a newer release is rolled out, this one still serves requests and may be restarted."""
    async with database.write_transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.check()
    await database.check()
    assert await database.migrate() is False

    async with database.read_transaction() as connection:
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    assert [record.getMessage() for record in caplog.records if "9999" in record.getMessage()] == [
        "the database is at version 9999 of a newer release; continuing with it"
    ]


async def test_migrate_returns_that_the_tables_belong_to_this_release(empty: Database) -> None:
    assert [await empty.migrate(), await empty.migrate()] == [True, True]


@pytest.mark.postgresql
async def test_a_concurrent_migration_fails_one_statement_and_no_more(postgres: str) -> None:
    """A statement that was prepared before the columns changed fails once; a retry succeeds."""
    url = get_database_url(Settings(database_url=await create_database_url(postgres)))
    old, new = create_database(url), create_database(url)
    await old.migrate()
    async with old.read_transaction() as connection:
        await connection.execute(select(leases))

    async with new.write_transaction() as connection:
        await connection.execute(text("ALTER TABLE leases ALTER COLUMN holder TYPE varchar(900)"))

    with pytest.raises(StoreUnavailable, match="have just been migrated"):
        async with old.read_transaction() as connection:
            await connection.execute(select(leases))
    async with old.read_transaction() as connection:
        assert list(await connection.execute(select(leases))) == []
    await old.aclose()
    await new.aclose()


@pytest.mark.postgresql
async def test_a_dump_is_restored_as_the_operations_page_says(postgres: str, tmp_path: Path) -> None:
    url = await create_database_url(postgres)
    host, _, name = url.partition("@")[2].partition("/")
    await as_superuser(url, "DROP ROLE IF EXISTS orchestrator", "CREATE ROLE orchestrator LOGIN")
    await as_superuser(url, f"ALTER DATABASE {name} OWNER TO orchestrator")
    kept = create_database(get_database_url(Settings(database_url=f"postgresql://orchestrator@{host}/{name}")))
    await kept.migrate()
    definitions, keys = Definitions(kept), Keys(kept)
    stored = await definitions.create("acme", "w", {"id": "w", "name": "Ünïcode"}, "ada")
    stored = await definitions.publish(stored, stored.definition, {"format": 1}, by="ada")
    key, secret = await keys.create("acme", "ci", ("read",))
    dump, restore = commands("pg_dump"), commands("pg_restore")
    run_program(dump, host, name, stdout=(tmp_path / "dump").open("wb"))
    await definitions.delete("acme", "w", None)
    await keys.revoke(key.id)
    await kept.aclose()

    run_program(restore, host, name, stdin=(tmp_path / "dump").open("rb"))

    await kept.check()
    assert await definitions.get("acme", "w") == stored
    assert (await definitions.get_version("acme", "w", 1)).definition == stored.definition
    assert await keys.verify(secret) == key
    assert (await definitions.create("acme", "new", {}, "ada")).status == "draft", "the restored role may still write"
    await kept.aclose()


async def as_superuser(url: str, *statements: str) -> None:
    engine = create_async_engine(get_database_url(Settings(database_url=url)), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


def commands(program: str) -> list[str]:
    """Return the command line of a PostgreSQL program as the operations page shows it."""
    page = (ROOT / "docs" / "operations.md").read_text().replace("\\\n", " ")
    (line,) = re.findall(rf"postgresql ({program} [^<>\n]*)", page)
    return shlex.split(line)


def run_program(line: list[str], host: str, name: str, **streams: IO[bytes]) -> None:
    """Run a command on the server of the test and one of its databases."""
    program, *rest = line
    words = {"temporal": "test", "$name": name}
    address, _, port = host.partition(":")
    where = ["--host", address, "--port", port]
    with contextlib.ExitStack() as open_files:
        for file in streams.values():
            open_files.enter_context(file)
        subprocess.run([find_binary(program), *where, *(words.get(word, word) for word in rest)], check=True, **streams)


def test_the_driver_depends_on_the_database_only(tmp_path: Path) -> None:
    for given in ("postgresql://a/b", "postgres://a/b", "postgresql+asyncpg://a/b", "postgresql+psycopg2://a/b"):
        assert get_database_url(Settings(database_url=given)) == "postgresql+asyncpg://a/b"
    assert get_database_url(Settings(home=tmp_path)) == f"sqlite+aiosqlite:///{tmp_path}/orchestrator.db"
