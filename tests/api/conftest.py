"""The API on loopback, with a real Temporal server and its own database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest

from orchestrator.service.services import Services
from tests.api.support import CLIENT_SECONDS, Locked, extended_deadlines, serve_api  # noqa: F401 - a fixture
from tests.temporal.world import World

NUMBERS = count(1)


@pytest.fixture(scope="session")
async def served_api(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Services, str]]:
    async with serve_api(world, tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(scope="session")
def services(served_api: tuple[Services, str]) -> Services:
    return served_api[0]


@pytest.fixture
def customer() -> str:
    """A customer for this test only."""
    return f"api-customer-{next(NUMBERS)}"


@pytest.fixture
async def api(served_api: tuple[Services, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with administrator rights that acts for the test's customer."""
    base, params = f"{served_api[1]}/api/v1", {"customer_id": customer}
    async with httpx.AsyncClient(base_url=base, params=params, timeout=CLIENT_SECONDS) as client:
        yield client


@pytest.fixture
async def hooks(served_api: tuple[Services, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{served_api[1]}/api/v1/hooks/{customer}", timeout=CLIENT_SECONDS) as client:
        yield client


@pytest.fixture
async def locked(world: World, tmp_path: Path) -> AsyncIterator[Locked]:
    async with serve_api(world, tmp_path) as (services, address), AsyncExitStack() as clients:
        yield Locked(services, address, clients)
