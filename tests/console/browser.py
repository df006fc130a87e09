"""Open the console in a browser, and note what goes wrong on the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

ALLOWED_MS = 60_000
MOST_TABS = 150
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
"""Installed by `make console`."""
NETWORK = "Failed to load resource"
"""Begins the browser's own report of an answer that is an error; the page shows these to people."""


@asynccontextmanager
async def open_page(browser: Browser, base: str, customer: str = "", **options: Any) -> AsyncIterator[Page]:
    """Open a page of its own session; raises AssertionError at the end for errors of scripts and of the policy."""
    context = await browser.new_context(base_url=base, **{"viewport": {"width": 1440, "height": 900}, **options})
    if customer:
        await context.add_init_script(f"sessionStorage.setItem('orchestrator.customer', '{customer}')")
    context.set_default_timeout(ALLOWED_MS)
    page = await context.new_page()
    mistakes: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(NETWORK):
            mistakes.append(message.text)

    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", note)
    try:
        yield page
    finally:
        await context.close()
    assert mistakes == []


async def find_violations(page: Page, within: str = "html") -> list[str]:
    """Return what axe finds; its script is evaluated by the driver, since the page's policy lets no other one in."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("within => axe.run(within, {resultTypes: ['violations']})", within)
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


async def tab_to(page: Page, target: Locator) -> None:
    """Move the focus to an element by the tab key."""
    await expect(target).to_be_visible()
    for _ in range(MOST_TABS):
        if await target.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the tab key does not come to {target}")
