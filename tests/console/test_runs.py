"""The list of runs: filters in the address, counts, older pages, one action for many."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from playwright.async_api import Page, Route, expect

from orchestrator.model.run import RunSummary, Status
from orchestrator.service.services import Services
from tests.api.support import wait_for_status
from tests.console.examples import CHARGED, ORDER, REFUSED, activate, start
from tests.temporal.world import World


async def put_lost_runs(services: Services, customer: str, workflow_id: str, status: Status, number: int) -> None:
    """Put runs into the index that Temporal does not have; the archiver would look for each of them before others."""
    newest = datetime.now(UTC)
    runs = [
        RunSummary(
            id=f"{customer}-{workflow_id}-{place:05}",
            workflow_id=workflow_id,
            workflow_version=1,
            customer_id=customer,
            status=status,
            started_at=newest - timedelta(seconds=place),
            completed_at=newest,
            duration_ms=place,
        )
        for place in range(number)
    ]
    await services.operations.index.put(runs)
    await services.operations.archive.mark_lost([run.id for run in runs])


async def test_filters_are_in_the_address_and_the_list_follows_by_itself(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    await activate(api, ORDER)
    failed = await start(api, "order", amount=5)
    await wait_for_status(api, failed, "failed")
    completed = await start(api, "order", amount=5)
    await page.goto("/")

    await expect(page.get_by_role("row").filter(has_text=completed)).to_contain_text("Completed")
    await page.get_by_role("button", name="Failed 1").click()
    await expect(page.get_by_text(completed)).to_be_hidden()
    await expect(page.get_by_role("row").filter(has_text=failed)).to_be_visible()
    assert page.url.endswith("#/runs?status=failed") or page.url.endswith("#/?status=failed")
    await page.reload()
    await expect(page.get_by_role("button", name="Failed 1")).to_have_attribute("aria-pressed", "true")

    await page.goto(f"/#/runs?id={completed}")
    await expect(page.get_by_label("Run ID")).to_have_value(completed)
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.goto("/#/runs?id=none")
    await expect(page.get_by_text("No run matches")).to_be_visible()
    await page.get_by_role("button", name="Remove the filters").click()
    later = await start(api, "order", amount=5)
    await expect(page.get_by_role("row").filter(has_text=later)).to_be_visible()


async def test_selected_runs_are_cancelled_at_once_and_what_is_refused_is_listed(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    await activate(api, ORDER)
    ids = [await start(api, "order", amount=5000) for _ in range(3)]
    reading = asyncio.Lock()

    async def read_list(route: Route) -> None:
        async with reading:
            await route.fulfill(response=await route.fetch())

    await page.route("**/api/v1/runs?*", read_list)
    await page.goto("/")
    await expect(page.get_by_role("row")).to_have_count(4)

    await page.get_by_label("Select all").check()
    await page.get_by_role("button", name="Cancel 3…").click()
    async with reading:  # a list that is read again would have one run less to cancel
        assert (await api.post(f"/runs/{ids[0]}/terminate")).status_code == 202
        await wait_for_status(api, ids[0], "cancelled")
        await page.get_by_label("Reason").fill("ordered twice")
        await page.get_by_role("button", name="Cancel 3", exact=True).click()
        await page.wait_for_url("**bulk=*")

    job = page.get_by_role("region", name="Operation on many runs")
    await expect(job.get_by_role("status")).to_have_text("2 of 3 cancelled, 1 refused.")
    await expect(job.get_by_role("listitem")).to_contain_text(ids[0])
    for run_id in ids:
        await wait_for_status(api, run_id, "cancelled")
    assert (await api.get(f"/runs/{ids[1]}")).json()["cancel_reason"] == "ordered twice"


async def test_selected_runs_are_paused_and_resumed(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    await activate(api, ORDER)
    for _ in range(2):
        await wait_for_status(api, await start(api, "order", amount=5000), "waiting")
    await page.goto("/")
    await expect(page.get_by_role("row")).to_have_count(3)
    await page.get_by_label("Select all").check()
    await expect(page.get_by_role("button", name="Rerun 0…")).to_have_attribute("aria-disabled", "true")
    await page.get_by_role("button", name="Pause 2…").click()
    await page.get_by_role("button", name="Pause 2", exact=True).click()
    job = page.get_by_role("region", name="Operation on many runs")
    await expect(job.get_by_role("status")).to_have_text("2 of 2 paused.")
    await page.get_by_label("Select all").check()
    await page.get_by_role("button", name="Resume 2…").click()
    await page.get_by_role("button", name="Resume 2", exact=True).click()

    await expect(job.get_by_role("status")).to_have_text("2 of 2 resumed.")


async def test_all_runs_that_match_are_taken_by_a_job_that_outlives_the_page_and_can_be_stopped(
    page: Page, served: tuple[Services, str], customer: str
) -> None:
    await put_lost_runs(served[0], customer, "gone", "failed", 400)
    await page.goto("/#/runs?status=failed")
    await page.get_by_label("Select all").check()
    await page.get_by_role("button", name="Select all 400 that match").click()
    await page.get_by_role("button", name="Rerun…").click()
    await expect(page.get_by_role("dialog")).to_contain_text("400 runs: each starts again")
    await page.get_by_role("button", name="Rerun 400", exact=True).click()
    await page.wait_for_url("**bulk=*")
    await page.reload()
    job = page.get_by_role("region", name="Operation on many runs")
    await expect(job.get_by_role("status")).to_contain_text("0 of 400 rerun")
    await job.get_by_role("button", name="Stop").click()

    await expect(job.get_by_role("status")).to_contain_text("then stopped")
    await job.get_by_role("button", name="Hide").click()
    await expect(job).to_be_hidden()


async def test_a_list_of_10_000_runs_opens_at_once_and_shows_older_pages(
    page: Page, served: tuple[Services, str], customer: str
) -> None:
    await put_lost_runs(served[0], customer, "many", "completed", 10_000)
    await page.goto("/")

    await expect(page.get_by_text("10,000 in all")).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(101)
    await page.get_by_role("button", name="Show older runs").click()
    await expect(page.get_by_role("row")).to_have_count(201)
    await expect(page.get_by_text(f"{customer}-many-00199")).to_be_visible()


async def test_the_button_of_a_group_reruns_what_the_group_counts(
    page: Page, served: tuple[Services, str], customer: str
) -> None:
    """It also took runs that had been rerun, and those with another error where the group has none."""
    newest = datetime.now(UTC)

    def make_run(name: str, **more: Any) -> RunSummary:
        fields = {"workflow_id": "alike", "workflow_version": 1, "customer_id": customer, "status": "failed"}
        return RunSummary(id=f"{customer}-{name}", started_at=newest, completed_at=newest, **{**fields, **more})

    await served[0].operations.index.put(
        [
            make_run("counted"),
            make_run("counted-too"),
            make_run("rerun-before"),
            make_run("again", status="completed", rerun_of=f"{customer}-rerun-before"),
            make_run("elsewhere", node_id="pay", error_type="action_error"),
        ]
    )
    await page.goto("/")
    await page.get_by_role("button", name="Rerun 2…").click()
    await expect(page.get_by_role("dialog")).to_contain_text("2 runs: each starts again")
    await page.get_by_role("button", name="Rerun 2", exact=True).click()

    job = page.get_by_role("region", name="Operation on many runs")
    await expect(job.get_by_role("listitem")).to_have_count(2)
    await expect(job).to_contain_text(f"{customer}-counted-too")
