"""Take the pictures of docs/console: `pytest tests/console/take_pictures.py`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from orchestrator.service.services import Services
from tests.api.support import wait_for_status
from tests.console.browser import open_page
from tests.console.examples import activate, start
from tests.console.picture_data import ANSWERS, BILLING, GREETING, IMPORT, LINES, ORDER
from tests.temporal.world import World

FOLDER = Path(__file__).parents[2] / "docs/console"
CUSTOMER = "acme"
WIDE, TABLET, PHONE = (1280, 860), (800, 1100), (390, 844)
Prepare = Callable[[Page], Awaitable[Any]]


@dataclass(frozen=True)
class Picture:
    """A page, and what is done on it before the picture is taken."""

    name: str
    path: str
    text: str
    """Is on the page once it has been read."""
    prepare: Prepare | None = None
    size: tuple[int, int] = WIDE
    schemes: tuple[str, ...] = ("light", "dark")


@pytest.fixture
def customer() -> str:
    return CUSTOMER


async def make_runs(api: httpx.AsyncClient) -> dict[str, str]:
    """Start what the pictures show, and return the IDs of the runs."""
    for definition in (ORDER, BILLING, IMPORT, GREETING):
        await activate(api, definition)
    runs = {}
    for number in range(4):
        runs[f"completed{number}"] = await start(
            api, "order_flow", order=1038 + number, amount=320 + number, lines=LINES
        )
        await wait_for_status(api, runs[f"completed{number}"], "completed")
    runs["operator"] = await start(api, "order_flow", order=1042, amount=480, lines=LINES)
    await wait_for_status(api, runs["operator"], "waiting")
    runs["import"] = await start(api, "price_import", articles=list(range(1, 13)))
    await wait_for_status(api, runs["import"], "completed")
    for _ in range(5):
        runs["failed"] = await start(api, "nightly_billing")
        await wait_for_status(api, runs["failed"], "failed")
    for name in ("Ann", "Bob", "Cleo"):
        runs["greeting"] = await start(api, "greeting", name=name)
    runs["waiting"] = await start(api, "order_flow", order=1043, amount=12_480, tier="gold", lines=LINES)
    await wait_for_status(api, runs["waiting"], "waiting")
    runs["paused"] = await start(api, "order_flow", order=1044, amount=18_200, lines=LINES[:1])
    await wait_for_status(api, runs["paused"], "waiting")
    assert (await api.post(f"/runs/{runs['paused']}/pause", json={"reason": "the price list is wrong"})).is_success
    repair = {"kind": "set_variables", "variables": {"tier": "standard"}, "reason": "a mistake in the import"}
    assert (await api.post(f"/runs/{runs['paused']}/interventions", json=repair)).is_success
    changed = {
        **ORDER,
        "nodes": [{**node, "name": "Charge the card"} if node["id"] == "charge" else node for node in ORDER["nodes"]],
    }
    assert (await api.put("/workflows/order_flow", json=changed)).is_success
    assert (await api.post("/workflows/order_flow/activate")).is_success
    for event in ("order.placed", "order.lost"):
        data = {"order": 1045, "amount": 900, "lines": LINES[:2]}
        assert (await api.post("/events", json={"name": event, "data": data})).is_success
    return runs


def click(*names: str) -> Prepare:
    """Return what clicks buttons, one after the other."""

    async def act(page: Page) -> None:
        for name in names:
            await page.get_by_role("button", name=name).first.click()

    return act


async def choose_rows(page: Page) -> None:
    await page.get_by_label("Select all").check()


async def preview_rerun(page: Page) -> None:
    await page.get_by_role("button", name="Only the").click()
    await expect(page.get_by_role("button", name="Start the rerun")).to_be_in_viewport()


async def type_comment(page: Page) -> None:
    """Write a comment, and wait until the text has been drawn."""
    await page.get_by_role("textbox", name="Definition").click()
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("# Orders of the shop\n")
    await expect(page.locator("g.node").first).to_be_visible()


def list_pictures(runs: dict[str, str]) -> list[Picture]:
    """Return all pictures."""
    waiting, failed_items = f"runs/{runs['waiting']}", f"runs/{runs['import']}"
    return [
        Picture("runs", "runs", "in all"),
        Picture("select-runs", "runs", "in all", choose_rows, schemes=("light",)),
        Picture("run-approval", waiting, "asks:"),
        Picture("approve", waiting, "asks:", click("Approve…")),
        Picture("run-operator", f"runs/{runs['operator']}", "waits for your decision"),
        Picture("run-paused", f"runs/{runs['paused']}", "Who did what"),
        Picture("run-completed", f"runs/{runs['completed0']}?node=large", "Completed in"),
        Picture("run-loop", f"{failed_items}?node=each", "1 failed"),
        Picture("rerun", f"{failed_items}?node=each", "Only the", preview_rerun),
        Picture("compare", f"runs/{runs['completed0']}?with={runs['waiting']}", "differences", schemes=("dark",)),
        Picture("workflows", "workflows", "Nightly billing"),
        Picture("workflow", "workflows/order_flow", "Statistics"),
        Picture("versions", "workflows/order_flow?from=1&version=2", "1 change", schemes=("light",)),
        Picture("start", "workflows/order_flow", "Statistics", click("Start a run…"), schemes=("light",)),
        Picture("editor", "edit/order_flow", "Valid", type_comment),
        Picture("schedules", "schedules", "Nightly billing"),
        Picture("deliveries", "deliveries", "order.placed", schemes=("light",)),
        Picture("tablet-run", waiting, "asks:", size=TABLET, schemes=("light",)),
        Picture("phone-runs", "runs", "in all", size=PHONE, schemes=("light",)),
        Picture("phone-run", waiting, "asks:", size=PHONE, schemes=("dark",)),
    ]


async def test_take_pictures(
    browser: Browser, served: tuple[Services, str], api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script(ANSWERS, customer)
    runs = await make_runs(api)
    for picture in list_pictures(runs):
        for scheme in picture.schemes:
            width, height = picture.size
            options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
            async with open_page(browser, served[1], customer, reduced_motion="reduce", **options) as page:
                await page.goto(f"/#/{picture.path}")
                await expect(page.get_by_text(picture.text).first).to_be_visible()
                if picture.prepare:
                    await picture.prepare(page)
                await expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
                await page.screenshot(path=FOLDER / f"{picture.name}-{scheme}.png")
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, picture.name
