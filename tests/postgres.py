"""A real PostgreSQL server for tests, on loopback, in a temporary folder."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

NUMBERS = count(1)
START_SECONDS = "180"
ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root, so it runs as this account."""


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_binary(name: str) -> str:
    found = shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    assert found is not None, f"PostgreSQL's {name} is needed: install the package postgresql"
    return str(found)


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a server; yields the start of its URLs without driver and database: `test@127.0.0.1:port`."""
    # Not in pytest's folder: pytest makes that private whenever it starts.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, port = Path(name), find_free_port()
        options: dict[str, Any] = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL}
        if os.geteuid() == 0:
            owner = pwd.getpwnam(ACCOUNT)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            options |= {"user": ACCOUNT}
        data = folder / "data"
        subprocess.run([find_binary("initdb"), "-D", data, "-U", "test", "-A", "trust", "--no-sync"], **options)
        control = [find_binary("pg_ctl"), "-D", data, "-w", "-t", START_SECONDS, "-l", folder / "log"]
        listen = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        subprocess.run([*control, "-o", listen, "start"], **options)
        try:
            yield f"test@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **options)


async def create_database_url(address: str) -> str:
    """Create an empty database and return its URL as an operator would write it."""
    name = f"store{next(NUMBERS)}"
    engine = create_async_engine(f"postgresql+asyncpg://{address}/postgres", isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return f"postgresql://{address}/{name}"
