"""Large graphs and long runs: nothing is drawn or loaded whole."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
from playwright.async_api import Page, expect
from sqlalchemy import insert, select

from orchestrator.model.run import Run, RunSummary, StepDocument
from orchestrator.service.archiver import compress_document
from orchestrator.service.services import Services
from orchestrator.store.archive import ArchivedRun
from orchestrator.store.tables import workflows
from tests.console.examples import activate, start
from tests.temporal.world import World

STEPS = 100_000
KEPT = 10_000
"""As many as a document keeps at most."""
MANY = 600
"""Workflows, of which a page of a list has 500 at most."""


def make_loops(loops: int, nodes: int) -> dict[str, Any]:
    """Return a workflow of a chain of loops, each with a chain of nodes."""
    drawn: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for loop in range(loops):
        name, body = f"each{loop}", [f"n{loop}_{number}" for number in range(nodes)]
        edges.append({"source": f"each{loop - 1}" if loop else "trigger", "target": name})
        edges.append({"source": name, "target": body[0], "condition": "body"})
        edges += [{"source": source, "target": target} for source, target in pairwise(body)]
        drawn.append({"id": name, "type": "loop", "name": f"Each {loop}", "collection": "{{ input.items }}"})
        drawn += [{"id": each, "type": "set", "config": {"done": True}} for each in body]
    return {"id": "large", "name": "Large", "trigger": {"type": "manual"}, "nodes": drawn, "edges": edges}


async def test_the_boxes_of_a_large_graph_start_folded_and_are_opened_one_by_one(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    await activate(api, make_loops(loops=15, nodes=30))
    await page.goto(f"/#/runs/{await start(api, 'large', items=[1])}")
    await expect(page.get_by_text("Completed in")).to_be_visible()
    box = page.get_by_role("button", name="Each 1, loop, folded, 30 nodes, completed")
    await expect(box).to_be_visible()
    await expect(page.locator("g.node")).to_have_count(16)

    await box.click()
    await page.get_by_role("button", name="Open “Each 1”").click()
    await expect(page.get_by_role("button", name="n1_0, set, completed")).to_be_visible()
    await page.get_by_role("button", name="Fold “Each 1”").click()
    await expect(box).to_be_visible()


async def test_the_editor_and_the_comparison_of_versions_fold_boxes_too(page: Page, api: httpx.AsyncClient) -> None:
    """What has changed in a folded box was shown nowhere."""
    definition = make_loops(loops=15, nodes=30)
    await activate(api, definition)
    changed = next(node for node in definition["nodes"] if node["id"] == "n1_3")
    changed["config"] = {"done": False}
    assert (await api.put("/workflows/large", json=definition)).status_code == 200
    await page.goto("/#/workflows/large?from=1&node=each1")
    await expect(page.get_by_role("button", name="Each 1, loop, folded, 30 nodes, changed")).to_be_visible()
    await expect(page.locator("g.node")).to_have_count(16)
    await page.get_by_role("button", name="Open “Each 1”").click()
    await expect(page.get_by_role("button", name="n1_3, set, changed")).to_be_visible()

    await page.goto("/#/edit/large")
    await page.get_by_role("button", name="Each 2, loop, folded, 30 nodes").click()
    await page.get_by_role("button", name="Open “Each 2”").click()
    await expect(page.get_by_role("button", name="n2_0, set")).to_be_visible()
    await page.get_by_role("button", name="Fold “Each 2”").click()
    await expect(page.locator("g.node")).to_have_count(16)


async def test_the_last_of_many_workflows_has_its_name_and_its_fire_times(
    page: Page, served: tuple[Services, str], api: httpx.AsyncClient, customer: str
) -> None:
    nodes = {"nodes": [{"id": "done", "type": "end"}], "edges": [{"source": "trigger", "target": "done"}]}
    await activate(api, {"id": "first", "name": "First", "trigger": {"type": "manual"}, **nodes})
    rare = {"type": "schedule", "cron": "0 0 1 1 *"}
    await activate(api, {"id": "zebra", "name": "Count the zebras", "trigger": rare, **nodes})
    async with served[0].database.write_transaction() as connection:
        is_first = (workflows.c.customer_id == customer) & (workflows.c.id == "first")
        row = (await connection.execute(select(workflows).where(is_first))).mappings().one()
        await connection.execute(insert(workflows), [{**row, "id": f"manual_{number:03}"} for number in range(MANY)])
    run = {"id": f"{customer}-zebra", "workflow_id": "zebra", "workflow_version": 1, "customer_id": customer}
    await served[0].operations.index.put([RunSummary(**run, status="completed", started_at=datetime.now(UTC))])
    await page.goto("/#/runs")

    await expect(page.get_by_role("button", name="Count the zebras 1")).to_be_visible()

    await page.goto("/#/schedules")

    await expect(page.get_by_role("link", name="Count the zebras")).to_have_count(5)


async def test_a_run_of_100_000_steps_opens_with_the_newest_of_them(
    page: Page, served: tuple[Services, str], api: httpx.AsyncClient, customer: str
) -> None:
    await activate(api, make_loops(loops=1, nodes=10))
    began = datetime.now(UTC)
    run_id = f"{customer}-large"
    times = {"started_at": began, "completed_at": began + timedelta(minutes=5), "duration_ms": 300_000}
    known = {
        "id": run_id,
        "workflow_id": "large",
        "workflow_version": 1,
        "customer_id": customer,
        "status": "completed",
    }
    steps = [
        StepDocument(
            id=f"each0[{number // 10}]/n0_{number % 10}",
            node_id=f"n0_{number % 10}",
            path=f"each0[{number // 10}]",
            status="completed",
            started_at=began,
            completed_at=began,
            input_data={"order": {"id": number, "lines": ["a", "b", "c"]}},
            output_data={"done": True},
            duration_ms=1,
        )
        for number in range(STEPS - KEPT, STEPS)
    ]
    run = Run(**known, **times, steps=steps, steps_total=STEPS, steps_completed=STEPS)
    await served[0].operations.index.put([RunSummary(**known, **times)])
    await served[0].operations.archive.put(
        [ArchivedRun(run_id, customer, times["completed_at"], compress_document(run))]
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"/#/runs/{run_id}")

    steps_card = page.get_by_role("region", name="Steps", exact=True)
    await expect(steps_card).to_contain_text("100,000 · newest first")
    await expect(steps_card.get_by_role("row")).to_have_count(101)
    await expect(page.get_by_role("button", name="n0_9, set, completed, 1,000 ")).to_be_visible()
    await expect(page.get_by_role("region", name="Graph")).to_contain_text("from the newest 10,000 steps")
    await steps_card.get_by_role("button", name="Show more").click()
    await expect(steps_card.get_by_role("row")).to_have_count(501)
    await steps_card.get_by_role("button", name="Show more").click()
    await expect(steps_card.get_by_role("row")).to_have_count(701)
    await page.get_by_role("combobox", name="Each 0").select_option(label="item 9999 · completed")
    await page.get_by_role("button", name="n0_9, set, completed").click()
    await expect(page.get_by_role("region", name="Step n0_9")).to_contain_text("each0[9998]/n0_9")
    await page.get_by_label("Number of the item of Each 0").fill("9001")
    await page.get_by_label("Number of the item of Each 0").press("Enter")
    await expect(page.get_by_role("region", name="Step n0_9")).to_contain_text("each0[9000]/n0_9")
    assert not [url for url in asked if url.partition("?")[0].endswith(run_id)], "the run document was read whole"
