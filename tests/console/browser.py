"""Open the console in a browser, and note what goes wrong on the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page

ALLOWED_MS = 60_000
NETWORK = "Failed to load resource"
"""Begins the browser's own report of an answer that is an error; the page shows these to people."""


@asynccontextmanager
async def open_page(browser: Browser, base: str, customer: str = "", **options: Any) -> AsyncIterator[Page]:
    """Open a page of its own session; raises AssertionError at the end for errors of scripts and of the policy."""
    context = await browser.new_context(base_url=base, **{"viewport": {"width": 1440, "height": 900}, **options})
    if customer:
        await context.add_init_script(f"sessionStorage.setItem('orchestrator.customer', '{customer}')")
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
