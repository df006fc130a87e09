"""Everybody can use the page, and nothing that others wrote runs in it."""

from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from orchestrator.service.services import Services
from tests.api.support import serve_api, wait_for_status
from tests.console.browser import find_violations, open_page
from tests.console.examples import CHARGED, ORDER, REFUSED, activate, start
from tests.temporal.world import World

MARKUP = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>"\'></text></svg>{{7*7}}'


async def test_axe_finds_nothing_on_any_page_light_or_dark(
    browser: Browser, page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    await activate(api, ORDER)
    failed = await start(api, "order", amount=5, lines=[1])
    await wait_for_status(api, failed, "failed")
    waiting = await start(api, "order", amount=5000)
    await api.post("/events", json={"name": "order.lost", "data": {}})
    found: dict[str, Any] = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for path, text in {
            "runs": failed,
            f"runs/{failed}": "Failed at",
            f"runs/{waiting}": "waits for the event",
            f"runs/{failed}?with={waiting}": "differences",
            "runs?bulk=none": failed,
            "workflows": "Order flow",
            "workflows/order": "Statistics",
            "schedules": "Nothing is scheduled",
            "deliveries": "order.lost",
            "edit/order": "Valid",
            "none": "There is no such page",
        }.items():
            await page.goto(f"/#/{path}")
            await expect(page.get_by_text(text).first).to_be_visible()
            found[f"{path} {scheme}"] = await find_violations(page)

    assert {name: violations for name, violations in found.items() if violations} == {}


async def test_markup_in_names_values_and_errors_is_shown_as_text(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": {"error": {"message": MARKUP, "error_type": "action_error"}}}, customer)
    hostile = {**ORDER, "name": MARKUP, "description": MARKUP, "settings": {"on_error": "pause"}}
    hostile["nodes"] = [{**node, "name": MARKUP + node["id"], "description": MARKUP} for node in ORDER["nodes"]]
    hostile["edges"] = [{**edge, "label": MARKUP} for edge in ORDER["edges"]]
    await activate(api, hostile)
    run_id = await start(api, "order", amount=5, lines=[MARKUP], **{MARKUP: MARKUP})
    await wait_for_status(api, run_id, "waiting")
    await api.post("/events", json={"name": "order.lost", "data": {MARKUP: MARKUP}})

    for path in ("runs", f"runs/{run_id}", "workflows", "workflows/order", "deliveries", "edit/order"):
        await page.goto(f"/#/{path}")
        await expect(page.locator("main")).to_contain_text("order" if path == "deliveries" else "<img src=x")
        assert await page.locator("img").count() == 0
        assert await page.evaluate("window.broken") is None, path


async def test_what_the_key_does_not_allow_is_shown_with_the_missing_scope(
    browser: Browser, world: World, home: Path, customer: str
) -> None:
    async with serve_api(world, home) as (services, base):
        _, secret = await services.keys.create(customer, "reader", ("read",))
        _, admin = await services.keys.create(customer, "admin", ("admin",))
        headers = {"Authorization": f"Bearer {admin}"}
        async with httpx.AsyncClient(base_url=f"{base}/api/v1", headers=headers, timeout=60) as api:
            await activate(api, ORDER)
            run_id = await start(api, "order", amount=5000)
        async with open_page(browser, base) as page:
            await page.goto(f"/#/runs/{run_id}")
            await page.get_by_label("Key").fill(secret)
            await page.get_by_role("button", name="Continue").click()
            approve = page.get_by_role("button", name="Approve…")
            await expect(approve).to_have_attribute("aria-disabled", "true")
            await approve.click(force=True)

            await expect(page.get_by_text("Your API key lacks the scope “run”").last).to_be_visible()
            assert await page.get_by_role("dialog").count() == 0


async def test_a_run_is_approved_at_phone_width(
    browser: Browser, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=5000)
    phone = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
    async with open_page(browser, str(api.base_url).removesuffix("/api/v1/"), customer, **phone) as page:
        await page.goto("/#/runs")
        await page.get_by_role("link", name="Order flow").click()
        await page.get_by_role("button", name="Approve…").click()
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("Completed in")).to_be_visible()
        width = await page.evaluate("document.documentElement.scrollWidth")

        assert width <= 390, "nothing is wider than the phone"
    assert (await api.get(f"/runs/{run_id}")).json()["status"] == "completed"


async def test_long_names_are_no_wider_than_the_page(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": REFUSED}, customer)
    long = "Averylongnamewithoutanyspace" * 6
    nodes = [{**node, "name": f"{node['id']}{long}"} for node in ORDER["nodes"]]
    await activate(api, {**ORDER, "name": long, "nodes": nodes, "settings": {"on_error": "pause"}})
    run_id = await start(api, "order", amount=5, lines=[1])
    await wait_for_status(api, run_id, "waiting")
    await api.post("/events", json={"name": f"order.{long}", "data": {}})
    wide = []
    for path in ("runs", f"runs/{run_id}", "workflows", "workflows/order", "deliveries", "edit/order"):
        await page.goto(f"/#/{path}")
        await expect(page.locator("main h1")).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
        for width in (1280, 800, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((path, width))
            if await measure_right(page.locator("main h1")) > width:
                wide.append((f"h1 of {path}", width))

    assert wide == []


async def measure_right(element: Locator) -> float:
    """Return where an element ends at the right, with what is cut off."""
    return float(await element.evaluate("each => each.getBoundingClientRect().left + each.scrollWidth"))


async def test_an_administrator_chooses_the_customer(browser: Browser, world: World, home: Path) -> None:
    async with serve_api(world, home) as (services, base):
        _, secret = await services.keys.create(None, "admin", ("admin",))
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=f"{base}/api/v1", headers=headers, timeout=60) as api:
            for customer in ("acme", "globex"):
                answer = await api.post(
                    "/workflows", params={"customer_id": customer}, json={**ORDER, "name": customer}
                )
                assert answer.status_code == 201
        async with open_page(browser, base) as page:
            await page.goto("/#/workflows")
            await page.get_by_label("Key").fill(secret)
            await page.get_by_role("button", name="Continue").click()
            await expect(page.get_by_role("link", name="globex")).to_be_visible()
            await page.get_by_label("Customer").fill("acme")
            await page.get_by_label("Customer").press("Enter")

            await expect(page.get_by_role("link", name="globex")).to_be_hidden()
            await expect(page.get_by_role("link", name="acme")).to_be_visible()


async def test_without_keys_a_customer_can_be_chosen(
    browser: Browser, served: tuple[Services, str], api: httpx.AsyncClient, customer: str
) -> None:
    await activate(api, {**ORDER, "name": f"Orders of {customer}"})
    async with open_page(browser, served[1]) as page:
        await page.goto("/#/workflows")
        await page.get_by_label("Customer").fill("nobody")
        await page.get_by_label("Customer").press("Enter")
        await expect(page.get_by_text("No workflows yet")).to_be_visible()
        await page.get_by_label("Customer").fill(customer)
        await page.get_by_label("Customer").press("Enter")

        await expect(page.get_by_role("link", name=f"Orders of {customer}")).to_be_visible()
