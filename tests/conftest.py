"""A real Temporal server for all tests that need one, with a worker and a client."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.temporal import worker
from orchestrator.temporal.devserver import DevServer, run_dev_server
from tests.s3 import create_bucket, run_s3_server, set_variables
from tests.temporal.world import World, open_world

# Each run draws the same examples, however slow the machine is: `--hypothesis-profile random` draws others.
settings.register_profile("random", deadline=None, suppress_health_check=list(HealthCheck), database=None)
settings.register_profile("repeatable", settings.get_profile("random"), derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests that use the shared server, so that none of them starts it in the pure tier."""
    for item in items:
        if isinstance(item, pytest.Function) and "world" in item.fixturenames:
            item.add_marker("temporal")


@pytest.fixture(scope="session", autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the user for these tests: a `dev` tells other commands there where it listens."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _patient_workers() -> Iterator[None]:
    """Let no workflow task count as stuck because the machine is busy; Temporal throws it away after 10 s anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "DEADLOCK_SECONDS", 120.0)
        yield


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    config = ('history.transferProcessorUpdateAckInterval="1s"',)  # a deletion would wait for the default of 30 s
    async with run_dev_server(tmp_path_factory.mktemp("temporal") / "home", dynamic_config=config) as running:
        yield running


@pytest.fixture(scope="session")
async def world(server: DevServer) -> AsyncIterator[World]:
    """The server with one worker, for every test that stops no worker."""
    async with open_world(server) as made:
        yield made


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server."""
    with run_s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def s3_bucket(s3_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a bucket of this module, which the variables of the AWS tools let us use."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    create_bucket(s3_server, name)
    with pytest.MonkeyPatch.context() as patch:
        set_variables(patch, s3_server)
        yield f"s3://{name}"


@pytest.fixture(scope="module")
async def large(
    server: DevServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """The server with a worker and a client of this module, which store large payloads.

    In a folder; a module may choose `STORES` as parameters.
    """
    kind = getattr(request, "param", "folder")
    bucket = request.getfixturevalue("s3_bucket") if kind == "s3" else None
    store = bucket or str(tmp_path_factory.mktemp("payloads"))
    queue = f"{request.module.__name__}-{kind}"
    async with open_world(server, queue=queue, payload_store=store) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
