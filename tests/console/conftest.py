"""The console in a real Chromium, on a server and a database of its own."""

from collections.abc import AsyncIterator
from itertools import count

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from orchestrator.service.services import Services
from tests.api.support import extended_deadlines, serve_api  # noqa: F401 - a fixture
from tests.console.browser import ALLOWED_MS, open_page
from tests.temporal.world import World

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
NUMBERS = count(1)
expect.set_options(timeout=ALLOWED_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/console/" in item.nodeid:
            item.add_marker("browser")
            item.add_marker("slow")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=3 * ALLOWED_MS)
        yield launched
        await launched.close()


@pytest.fixture(scope="session")
async def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Services, str]]:
    async with serve_api(world, tmp_path_factory.mktemp("console")) as served:
        yield served


@pytest.fixture
def customer() -> str:
    """A customer for this test only."""
    return f"console-customer-{next(NUMBERS)}"


@pytest.fixture
async def api(served: tuple[Services, str], customer: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that acts for the test's customer."""
    params = {"customer_id": customer}
    async with httpx.AsyncClient(base_url=f"{served[1]}/api/v1", params=params, timeout=60) as client:
        yield client


@pytest.fixture
async def page(browser: Browser, served: tuple[Services, str], customer: str) -> AsyncIterator[Page]:
    """The console as the customer sees it; a script error, a refused script or style fails the test."""
    async with open_page(browser, served[1], customer) as opened:
        yield opened
