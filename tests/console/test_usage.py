"""What a run has used, on its page and on the page of its workflow."""

import re
from datetime import UTC, datetime

import httpx
from playwright.async_api import Page, Route, expect

from tests.console.examples import CHARGED, ORDER, activate, start
from tests.temporal.world import World, wait_until

USAGE = r"1 execution, \d+ events, \d+ kB of history, \d+ steps, .+ of worker time$"


async def test_what_a_run_has_used_is_shown_as_soon_as_it_is_counted(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """The page stopped reading the run before."""
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=5, lines=[1])

    async def is_counted() -> bool:
        return (await api.get(f"/runs/{run_id}")).json()["usage"] is not None

    async def end_just_now(route: Route) -> None:
        answer = await route.fetch()
        overview = await answer.json()
        overview["run"] |= {"usage": None, "completed_at": datetime.now(UTC).isoformat()}
        await route.fulfill(response=answer, json=overview)

    await wait_until(is_counted)
    await page.route("**/overview?*", end_just_now, times=2)
    await page.goto(f"/#/runs/{run_id}")

    await expect(page.get_by_text("Completed in")).to_be_visible()
    await expect(page.get_by_text(re.compile(f"^Used {USAGE}"))).to_be_visible()
    await page.goto("/#/workflows/order")
    await expect(page.get_by_text(re.compile(f"^1 ended run used {USAGE}"))).to_be_visible()
