"""One `orchestrator dev` for all tests of commands that talk to a server."""

from collections.abc import AsyncIterator

import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import Dev, start_dev, stop_dev


@pytest.fixture(scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    running = await start_dev(tmp_path_factory.mktemp("dev") / "home", {"ORCHESTRATOR_SECRET_OTHER": "s3cret"})
    yield running
    assert (await stop_dev(running)).code == 0


@pytest.fixture
def command(dev: Dev) -> InProcess:
    """Runs commands in this process, against the shared `dev`."""
    return InProcess(dev.env)
