"""The API, served on loopback over a real Temporal server and a database of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities import builtin_registry
from api.serve import served
from orchestrator.service.services import House, serving
from orchestrator.temporal.client.runs import Runs
from tests.temporal.world import World

NUMBERS = count(1)


@asynccontextmanager
async def opened(world: World, home: Path, **more: Any) -> AsyncIterator[tuple[House, str]]:
    """Serve from a folder; gives the house and where it listens."""
    settings = world.runs.settings.model_copy(
        update={"home": home, "api_port": 0, "rate_limit": "10000/second", **more}
    )
    async with (
        serving(settings, Runs(world.client, settings), builtin_registry()) as house,
        served(house) as address,
    ):
        yield house, address


@pytest.fixture(scope="session")
async def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, str]]:
    async with opened(world, tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="session")
def house(place: tuple[House, str]) -> House:
    return place[0]


@pytest.fixture
def customer() -> str:
    """A customer of the test's own."""
    return f"api-customer-{next(NUMBERS)}"


@pytest.fixture
async def api(place: tuple[House, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that asks as an administrator for the test's own customer."""
    base, params = f"{place[1]}/api/v1", {"customer_id": customer}
    async with httpx.AsyncClient(base_url=base, params=params, timeout=30) as client:
        yield client
