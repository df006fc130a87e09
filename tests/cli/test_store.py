"""`store`: the database's migrations."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.store.database import FILE
from tests.cli.commands import InProcess
from tests.cli.shell import SECONDS, Shell
from tests.cli.support import require_success
from tests.stream_server import run_stream_server


def test_the_database_is_migrated_and_an_old_one_is_refused(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/own.db"
    command = InProcess({"ORCHESTRATOR_DATABASE_URL": address, "ORCHESTRATOR_HOME": str(tmp_path)})
    create = ("keys", "create", "first", "--database")
    old = command(*create)
    assert (old.code, "orchestrator store migrate" in old.err) == (3, True)

    for _ in range(2):
        assert require_success(command("store", "migrate")) == "the database is up to date"

    assert require_success(command(*create)).startswith("ork_")
    nobody = InProcess({"ORCHESTRATOR_DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:9/x"})(*create)
    assert (nobody.code, "s3cret" in nobody.err) == (3, False)


def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    """An older release continues to work with an embedded home."""
    address = f"sqlite:///{tmp_path}/{FILE}"
    command = InProcess({"ORCHESTRATOR_DATABASE_URL": address, "ORCHESTRATOR_HOME": str(tmp_path)})
    require_success(command("store", "migrate"))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    done = command("store", "migrate")

    assert require_success(done) == "the database belongs to a newer release; nothing was changed"
    for env in (command.env, {"ORCHESTRATOR_HOME": str(tmp_path)}):
        created = InProcess(env)("keys", "create", "first", "--database")
        assert (created.code, "version 9999 of a newer release" in created.err) == (0, True), created.err


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("args", [("store", "migrate"), ("keys", "create", "first", "--database")])
async def test_ctrl_c_ends_what_waits_for_the_database_without_a_traceback(args: tuple[str, ...]) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()

    async with run_stream_server(say_nothing) as port:
        shell = Shell({"ORCHESTRATOR_DATABASE_URL": f"postgresql://me@127.0.0.1:{port}/x?ssl=disable"})
        process = await shell.begin(*args)
        async with asyncio.timeout(SECONDS):
            await asked.wait()
        process.send_signal(signal.SIGINT)
        done = await shell.end(process)

    assert (done.code, done.out, done.err) == (130, "", "stopping ...\n")
