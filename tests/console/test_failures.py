"""The page while a server or a worker is gone, and after it is back."""

import contextlib
import socket
from pathlib import Path

import httpx
from playwright.async_api import Browser, expect

from orchestrator.temporal.client.runs import Runs
from tests.api.support import serve_api
from tests.console.browser import open_page
from tests.console.examples import CHARGED, ORDER, activate, start
from tests.temporal.world import World, run_scripted_worker


def find_free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        return int(listening.getsockname()[1])


def connect(base: str, customer: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{base}/api/v1", params={"customer_id": customer}, timeout=60)


async def test_a_restart_of_the_server_loses_nothing_that_was_typed(
    browser: Browser, world: World, home: Path, customer: str
) -> None:
    """A form was emptied by a page that loads itself again."""
    world.script({"http.request": CHARGED}, customer)
    port = find_free_port()
    async with contextlib.AsyncExitStack() as page_open:
        async with serve_api(world, home, api_port=port) as (_, base):
            page = await page_open.enter_async_context(open_page(browser, base, customer))
            async with connect(base, customer) as api:
                await activate(api, ORDER)
                run_id = await start(api, "order", amount=5000)
            await page.goto(f"/#/runs/{run_id}")
            await page.get_by_role("button", name="Approve…").click()
            await page.get_by_label("Comment").fill("half a sentence")
        await expect(page.get_by_text("The server does not answer.").first).to_be_visible()
        await expect(page.get_by_label("Comment")).to_have_value("half a sentence")
        async with serve_api(world, home, api_port=port):
            await expect(page.get_by_text("The server does not answer.")).to_be_hidden()
            await expect(page.get_by_label("Comment")).to_have_value("half a sentence")
            await page.get_by_role("button", name="Send").click()

            await expect(page.get_by_text("Completed in")).to_be_visible()


async def test_a_run_is_shown_without_a_worker_and_continues_under_the_page_with_the_next_one(
    browser: Browser, world: World, home: Path, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    queue = "console-without-worker"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    alone = World(world.client, Runs(world.client, settings), world.scripts, queue=queue)
    async with (
        serve_api(alone, home) as (_, base),
        open_page(browser, base, customer) as page,
        connect(base, customer) as api,
    ):
        await activate(api, ORDER)
        async with run_scripted_worker(alone):
            run_id = await start(api, "order", amount=5000)
            await page.goto(f"/#/runs/{run_id}")
            await expect(page.get_by_text("waits for the event “decided”")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("waits for the event “decided”")).to_be_visible()
        await expect(page.get_by_role("button", name="Large order?, condition, completed")).to_be_visible()
        await page.get_by_role("button", name="Approve…").click()
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("dialog")).to_be_hidden()

        async with run_scripted_worker(alone):
            await expect(page.get_by_text("Completed in")).to_be_visible()


async def test_an_editor_that_is_opened_while_the_server_is_away_is_loaded_when_it_is_back(
    browser: Browser, world: World, home: Path, customer: str
) -> None:
    """It showed an error until somebody loaded the page again."""
    port = find_free_port()
    async with contextlib.AsyncExitStack() as page_open:
        async with serve_api(world, home, api_port=port) as (_, base):
            page = await page_open.enter_async_context(open_page(browser, base, customer))
            async with connect(base, customer) as api:
                await activate(api, ORDER)
            await page.goto("/#/edit/order")
            await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
            await page.goto("/#/workflows")
            await expect(page.get_by_text("Order flow")).to_be_visible()
        await page.goto("/#/edit/order")
        await expect(page.get_by_text("The server does not answer.").first).to_be_visible()
        await expect(page.get_by_text("Loading the definition…")).to_be_visible()
        async with serve_api(world, home, api_port=port):
            await expect(page.get_by_role("textbox", name="Definition")).to_contain_text("Order flow")
