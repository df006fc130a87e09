"""The frame around the pages: where it comes from, its policy, keys, addresses and lost connections."""

import asyncio
import gzip
import re
from pathlib import Path

import httpx
from playwright.async_api import Browser, Page, Route, expect

from api.console_page import FOLDER
from orchestrator.service.services import Services
from tests.api.support import serve_api
from tests.console.browser import ALLOWED_MS, open_page
from tests.temporal.world import World

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def test_the_page_and_its_files_have_a_strict_policy_and_come_from_this_server(
    served: tuple[Services, str],
) -> None:
    async with httpx.AsyncClient(base_url=served[1], timeout=60) as client:
        page = await client.get("/")
        links = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
        answers = [await client.get(f"/{link}") for link in links]
        unchanged = await client.get(f"/{links[0]}", headers={"If-None-Match": answers[0].headers["etag"]})

    assert [answer.status_code for answer in answers] == [200, 200]
    assert unchanged.status_code == 304
    for answer in (page, *answers):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
    assert re.findall(r"<script[^>]*>[^<]|<style| style=| on\w+=", page.text) == [], "nothing inline"


async def test_only_files_of_the_console_are_served(served: tuple[Services, str]) -> None:
    async with httpx.AsyncClient(base_url=served[1], timeout=60) as client:
        for path in ("/static/none.js", "/static/..%2Fapp.py", "/static/%2e%2e/app.py", "/static/"):
            assert (await client.get(path)).status_code == 404, path


def list_scripts(*names: str) -> set[str]:
    """Return the scripts, and all that they import at once."""
    scripts: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in scripts:
            scripts.add(name)
            pending += re.findall(r'(?:from|import)"\./([^"]+)"', (FOLDER / name).read_text())
    return scripts


def test_the_first_page_is_at_most_25_kb_of_scripts() -> None:
    (runs,) = FOLDER.glob("runs_page-*.js")
    scripts = list_scripts("console.js", runs.name)
    compressed = {name: len(gzip.compress((FOLDER / name).read_bytes())) for name in scripts}

    assert len(scripts) > 2
    assert sum(compressed.values()) <= 25 * 1024, compressed


async def test_scripts_are_sent_compressed(served: tuple[Services, str]) -> None:
    async with httpx.AsyncClient(base_url=served[1], timeout=60) as client:
        answer = await client.get("/static/console.js", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.text == (FOLDER / "console.js").read_text()


async def test_the_script_of_a_page_is_loaded_while_the_key_is_checked(page: Page) -> None:
    asked = asyncio.Event()

    async def hold(route: Route) -> None:
        async with asyncio.timeout(ALLOWED_MS / 1000):
            await asked.wait()
        await route.continue_()

    page.on("request", lambda request: asked.set() if "/schedules_page-" in request.url else None)
    await page.route("**/api/v1/caller*", hold)
    await page.goto("/#/schedules")

    await expect(page.get_by_role("heading", level=1, name="Schedules")).to_be_visible()


async def test_the_address_chooses_the_page(page: Page) -> None:
    await page.goto("/")
    await expect(page).to_have_title(re.compile("^Runs "))

    await page.get_by_role("link", name="Workflows").click()

    await expect(page.get_by_role("heading", level=1, name="Workflows")).to_be_visible()
    assert page.url.endswith("/#/workflows")
    await page.go_back()
    await expect(page).to_have_title(re.compile("^Runs "))
    await page.goto("/#/none")
    await expect(page.get_by_text("There is no such page")).to_be_visible()


async def test_a_key_is_typed_once_and_kept_in_the_tab(browser: Browser, world: World, home: Path) -> None:
    async with serve_api(world, home) as (services, base), open_page(browser, base) as page:
        key, secret = await services.keys.create("acme", "operator", ("read",))
        await page.goto("/")
        await page.get_by_label("Key").fill("ork_wrong")
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
        await page.get_by_label("Key").fill(secret)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_text("acme")).to_be_visible()
        await page.reload()

        await expect(page.get_by_text("acme")).to_be_visible()
        assert await page.evaluate("localStorage.length + document.cookie.length") == 0
        await services.keys.revoke(key.id, None)
        await page.reload()
        await expect(page.get_by_label("Key")).to_be_visible()


async def test_the_page_says_that_the_server_is_gone_and_comes_back_by_itself(page: Page) -> None:
    await page.goto("/")
    await expect(page).to_have_title(re.compile("^Runs "))

    await page.context.set_offline(True)

    await expect(page.get_by_text("The server does not answer.")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("The server does not answer.")).to_be_hidden()


async def test_an_address_that_every_object_knows_is_no_page(page: Page) -> None:
    await page.goto("/#/constructor")

    await expect(page.get_by_text("There is no such page")).to_be_visible()


async def test_signing_out_forgets_the_customer_and_what_was_typed(browser: Browser, world: World, home: Path) -> None:
    """The next person at the tab saw the drafts and the customer of the one before."""
    async with serve_api(world, home) as (services, base), open_page(browser, base) as page:
        _, secret = await services.keys.create(None, "administrator", ("admin",))
        await page.goto("/#/edit")
        await page.get_by_label("Key").fill("ork_“quoted”")
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("alert")).to_contain_text("ASCII only")
        await page.get_by_label("Key").fill(secret)
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_label("Customer").fill("acme")
        await page.keyboard.press("Enter")
        await page.get_by_role("textbox", name="Definition").click()
        await page.keyboard.type("# ")
        await expect(page.get_by_text("not saved; kept in this tab")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Key")).to_be_visible()

        assert await page.evaluate("Object.keys(sessionStorage)") == []


async def test_spaces_are_kept_while_a_search_is_typed(page: Page) -> None:
    await page.goto("/#/runs?status=failed")
    await page.get_by_label("Search for").select_option("Error text")
    await page.get_by_label("Error text").press_sequentially("card ")
    await page.wait_for_url("**/*error=card")
    await page.get_by_label("Error text").press_sequentially("declined")

    await expect(page.get_by_label("Error text")).to_have_value("card declined")
