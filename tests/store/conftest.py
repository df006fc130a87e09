"""Databases for the tests, each on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.settings import Settings
from orchestrator.store.database import FILE, Database, create_database, get_database_url
from tests.postgres import create_database_url, run_postgres

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with run_postgres() as address:
        yield address


@pytest.fixture(params=BOTH)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database without tables."""
    settings: dict[str, Any] = {"home": tmp_path}
    if request.param == "postgresql":
        settings["database_url"] = await create_database_url(request.getfixturevalue("postgres"))
    database = create_database(get_database_url(Settings(**settings)))
    yield database
    await database.aclose()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: migrating a database for each test took a third of the time of these tests."""
    home = tmp_path_factory.mktemp("migrated")

    async def make() -> None:
        database = create_database(get_database_url(Settings(home=home)))
        await database.migrate()
        await database.aclose()

    asyncio.run(make())
    return home / FILE


@pytest.fixture
async def database(empty: Database, migrated: Path, tmp_path: Path) -> Database:
    if empty.engine.dialect.name == "sqlite":
        shutil.copy(migrated, tmp_path / FILE)
    else:
        await empty.migrate()
    return empty
