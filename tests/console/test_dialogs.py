"""Every dialog opens, is used and closes by the keyboard, and axe finds nothing in it, light or dark."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from orchestrator.model.approval_links import ApprovalLink
from orchestrator.service.services import Services
from tests.api.support import APPROVAL_KEY, wait_for_status
from tests.console.browser import find_violations, open_page, tab_to
from tests.console.examples import ORDER, REFUSED, activate, start
from tests.temporal.world import World, wait_until

ITEMS_FAIL: dict[str, Any] = {
    "id": "lines",
    "name": "Lines",
    "trigger": {"type": "event", "event": "lines.sent"},
    "nodes": [
        {
            "id": "each",
            "type": "loop",
            "name": "Each line",
            "collection": [1, 2],
            "config": {"on_item_error": "continue"},
        },
        next(node for node in ORDER["nodes"] if node["id"] == "charge"),
        {"id": "done", "type": "end"},
    ],
    "edges": [
        {"source": "trigger", "target": "each"},
        {"source": "each", "target": "charge", "condition": "body"},
        {"source": "each", "target": "done"},
    ],
}
SCHEMES = ("light", "dark")


async def open_by_keyboard(page: Page, button: Locator, dialog: Locator) -> list[str]:
    """Open a dialog from its button, close it by Escape, and return what axe finds in it."""
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await tab_to(page, button)
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_visible()
        await expect(dialog.get_by_role("status")).to_have_count(0)
        assert await dialog.evaluate("element => element.contains(document.activeElement)"), "the focus is in it"
        found += [f"{scheme}: {each}" for each in await find_violations(page, "dialog")]
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(button).to_be_focused()
    return found


async def open_all(page: Page, address: str, dialogs: dict[str, str]) -> None:
    """Open the dialogs of a page: the names of their buttons, and their titles."""
    await page.goto(address)
    found = []
    for name, title in dialogs.items():
        button = page.get_by_role("button", name=name, exact=True)
        found += await open_by_keyboard(page, button, page.get_by_role("dialog", name=title))
    assert found == []


async def test_the_dialogs_of_a_run_that_waits(page: Page, api: httpx.AsyncClient, world: World, customer: str) -> None:
    world.script({}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=5000)
    await wait_for_status(api, run_id, "waiting")

    await open_all(
        page,
        f"/#/runs/{run_id}?node=decide",
        {
            "Approve…": "Send “decided”",
            "Decline…": "Send “decided”",
            "Set variables…": "Set variables",
            "Cancel…": "Cancel this run?",
            "Compare…": "Compare with another run",
            "Skip the wait…": "Skip the wait: Ask the manager",
            "Skip…": "Skip: Ask the manager",
            "Give a result…": "Give a result: Ask the manager",
        },
    )
    await page.goto("/#/workflows/order")
    button = page.get_by_role("button", name="Start a run…")
    assert await open_by_keyboard(page, button, page.get_by_role("dialog")) == []


async def test_the_dialogs_of_a_step_that_waits_for_an_operator(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": REFUSED}, customer)
    await activate(api, {**ORDER, "settings": {"on_error": "pause"}})
    run_id = await start(api, "order", amount=5)
    await wait_for_status(api, run_id, "waiting")

    await open_all(
        page,
        f"/#/runs/{run_id}",
        {
            "Retry with…": "Retry with other parameters",
            "Use a value…": "Use a value instead of the step's output",
            "Edit parameters…": "Edit parameters: Charge card",
        },
    )


async def test_reruns_and_what_failed_are_confirmed_by_the_keyboard(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": REFUSED}, customer)
    await activate(api, ITEMS_FAIL)
    run_id = await start(api, "lines")
    await wait_for_status(api, run_id, "completed")

    for node, name in {"each": "Only the 2 failed items…", "charge": "Rerun from here…"}.items():
        await page.goto("/#/runs")
        await page.goto(f"/#/runs/{run_id}?node={node}")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await tab_to(page, page.get_by_role("button", name=name))
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name="Start the rerun")).to_be_visible()
            assert await find_violations(page) == []
            await tab_to(page, page.get_by_role("button", name="Do not rerun"))
            await page.keyboard.press("Enter")


async def test_many_runs_and_deliveries_are_handled_by_the_keyboard(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": REFUSED}, customer)
    await activate(api, ORDER)
    await activate(api, ITEMS_FAIL)
    for _ in range(2):
        await wait_for_status(api, await start(api, "order", amount=5), "failed")
    waiting = await start(api, "order", amount=5000)
    await wait_for_status(api, waiting, "waiting")
    await api.post("/events", json={"name": "lines.sent", "data": {}})

    async def is_listed() -> bool:
        counts = (await api.get("/runs/counts")).json()["by_status"]
        return counts.get("failed") == 2 and counts.get("waiting") == 1

    await wait_until(is_listed)
    await page.goto("/#/runs?workflow=order")
    regroup = page.get_by_role("button", name="Rerun 2 from charge…")
    assert await open_by_keyboard(page, regroup, page.get_by_role("dialog", name="Rerun runs")) == []
    await tab_to(page, page.get_by_role("checkbox").first)
    await page.keyboard.press("Space")
    pause = page.get_by_role("toolbar").get_by_role("button", name="Cancel")
    assert await open_by_keyboard(page, pause, page.get_by_role("dialog")) == []
    await page.goto("/#/deliveries")
    details = page.get_by_role("button", name="lines.sent")
    assert await open_by_keyboard(page, details, page.get_by_role("dialog", name="event lines.sent")) == []
    redrive = page.get_by_role("button", name="Redrive")
    await tab_to(page, redrive)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_approval_is_decided_on_its_own_page_at_phone_width_by_the_keyboard(
    browser: Browser,
    served: tuple[Services, str],
    api: httpx.AsyncClient,
    world: World,
    customer: str,
    scheme: Any,
) -> None:
    world.script({}, customer)
    form = {"type": "object", "properties": {"comment": {"type": "string", "title": "Comment " + 20 * "very"}}}
    approval = {"title": f"Charge {200 * '9'}?", "assignees": ["ann@example.com"], "form": form}
    definition = {
        "id": "ask",
        "name": "Ask " + 30 * "long",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "decide", "type": "wait", "config": {"approval": approval}}],
        "edges": [{"source": "trigger", "target": "decide"}],
    }
    await activate(api, definition)
    run_id = await start(api, "ask")
    await wait_for_status(api, run_id, "waiting")
    phone = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "color_scheme": scheme}
    async with open_page(browser, served[1], **phone) as page:
        link = ApprovalLink(run_id, "decide", "", "ann@example.com", datetime.now(UTC)).sign(APPROVAL_KEY)
        await page.goto(f"/approvals/{link}")
        assert await find_violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await tab_to(page, page.get_by_label("Comment"))
        await page.keyboard.type("fine")
        await tab_to(page, page.get_by_role("button", name="Approve"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button")).to_have_count(0)
        assert await find_violations(page) == []
    await wait_for_status(api, run_id, "completed")
