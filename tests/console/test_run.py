"""One run on its page: its graph, what it needs, and the buttons for it."""

import json
import re
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.api.support import wait_for_status
from tests.console.examples import CHARGED, ORDER, REFUSED, activate, start
from tests.temporal.world import World, wait_until

LARGE = 9007199254740993
"""JavaScript rounds it."""


async def test_a_person_approves_a_run_and_sees_it_go_on_without_a_reload(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=1250, lines=[1, 2, 3])
    await page.goto(f"/#/runs/{run_id}")

    await expect(page.get_by_text("“Ask the manager” waits for the event “decided”")).to_be_visible()
    await expect(page.get_by_role("button", name="Large order?, condition, completed, amount 1,250")).to_be_visible()
    await expect(page.get_by_role("button", name="Charge card, action, to come")).to_be_visible()
    await page.get_by_role("button", name="Approve…").click()
    await page.get_by_label("Comment").fill("fine")
    await page.get_by_role("button", name="Send").click()

    await expect(page.get_by_text("Completed in")).to_be_visible()
    await expect(page.get_by_role("button", name="Charge card, action, completed")).to_be_visible()
    run = (await api.get(f"/runs/{run_id}")).json()
    decided = next(step for step in run["steps"] if step["node_id"] == "decide")
    assert decided["output_data"]["payload"] == {"approved": True, "comment": "fine"}


async def test_an_approval_shows_the_question_those_who_are_asked_and_its_form(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    form = {"type": "object", "properties": {"comment": {"type": "string", "title": "Comment"}}}
    approval = {"title": "Charge {{ input.amount }}?", "assignees": ["ann@example.com"], "form": form}
    nodes = [{**node, "config": {"approval": approval}} if node["id"] == "decide" else node for node in ORDER["nodes"]]
    await activate(api, {**ORDER, "nodes": nodes})
    run_id = await start(api, "order", amount=1250)
    await page.goto(f"/#/runs/{run_id}")

    await expect(page.get_by_text("“Ask the manager” asks: Charge 1250?")).to_be_visible()
    await expect(page.get_by_text("Asked: ann@example.com")).to_be_visible()
    await page.get_by_role("button", name="Approve…").click()
    await expect(page.get_by_role("dialog", name="Charge 1250?")).to_be_visible()
    await page.get_by_label("Comment").fill("fine")
    await page.get_by_role("button", name="Send").click()

    await expect(page.get_by_text("Completed in")).to_be_visible()
    decided = [step for step in (await api.get(f"/runs/{run_id}")).json()["steps"] if step["node_id"] == "decide"]
    assert decided[0]["output_data"]["payload"] == {"approved": True, "comment": "fine"}


async def test_a_payload_that_does_not_fit_is_refused_in_words_and_stays_typed(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=1250)
    await page.goto(f"/#/runs/{run_id}")
    await page.get_by_role("button", name="Decline…").click()
    await page.get_by_role("button", name="Write JSON instead").click()
    await page.get_by_label("Payload (JSON)").fill('{"approved": "perhaps"}')
    await page.get_by_role("button", name="Send").click()

    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "“Approve the order” is not of type boolean"
    )
    await expect(page.get_by_label("Payload (JSON)")).to_have_value('{"approved": "perhaps"}')
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_the_iterations_of_a_loop_are_counted_and_can_be_chosen(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    await page.goto(f"/#/runs/{await start(api, 'order', amount=5, lines=[1, 2, 3])}")

    await expect(page.get_by_role("button", name="Each line, loop, completed, 3 of 3")).to_be_visible()
    await expect(page.get_by_role("button", name="Reserve stock, action, completed, 3 ")).to_be_visible()
    await page.get_by_role("combobox", name="Each line").select_option(label="item 2 · completed")

    await page.get_by_role("button", name="Reserve stock, action, completed").click()
    await expect(page.get_by_role("region", name="Step Reserve stock")).to_contain_text("each[1]/reserve")
    await expect(page.get_by_role("button", name="Ask the manager, wait, not taken")).to_be_visible()


async def test_arrow_keys_follow_the_edges_of_the_graph(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    await page.goto(f"/#/runs/{await start(api, 'order', amount=5)}?node=large")
    await page.get_by_role("button", name="Large order?, condition").focus()

    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#node-decide")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#node-charge")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#node-done")).to_be_focused()
    await page.keyboard.press("Home")
    await expect(page.locator("#node-trigger")).to_be_focused()


async def test_a_failed_run_is_run_again_from_a_node_after_a_look_at_what_is_reused(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=5, lines=[1])
    await wait_for_status(api, run_id, "failed")
    await page.goto(f"/#/runs/{run_id}")
    await expect(page.get_by_text("Failed at “Charge card”")).to_be_visible()
    await expect(page.get_by_role("button", name="Charge card, action, failed")).to_be_visible()

    await page.get_by_role("button", name="Rerun…").click()
    await expect(page.get_by_text("Rerun from “Charge card”?")).to_be_visible()
    await expect(page.get_by_role("button", name="Charge card, action, begins here")).to_be_visible()
    await expect(page.get_by_role("button", name="Each line, loop, reused")).to_be_visible()
    assert len((await api.get("/runs")).json()["items"]) == 1
    await page.get_by_role("combobox", name="Each line").select_option(label="item 1 · completed")
    await expect(page.get_by_role("button", name="Reserve stock, action, reused")).to_be_visible()
    await page.get_by_role("button", name="Start the rerun").click()

    await expect(page.get_by_text("Completed in")).to_be_visible()
    await page.get_by_role("link", name="Rerun of").click()
    await expect(page.get_by_role("link", name="Rerun", exact=True)).to_be_visible()


async def test_a_paused_step_goes_on_with_other_parameters(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    paused = {**ORDER, "settings": {"on_error": "pause"}}
    await activate(api, paused)
    await page.goto(f"/#/runs/{await start(api, 'order', amount=5)}")
    await expect(page.get_by_text("“Charge card” failed and waits for your decision")).to_be_visible()
    await expect(page.get_by_text("card network answered 502").first).to_be_visible()

    await page.get_by_role("button", name="Retry with…").click()
    await page.get_by_label("Parameters (JSON)").fill('{"url": "https://other.example"')
    await page.get_by_role("button", name="Continue the run").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("This is not JSON")
    await page.get_by_label("Parameters (JSON)").fill('{"url": "https://other.example"}')
    await page.get_by_role("button", name="Continue the run").click()

    await expect(page.get_by_text("Completed in")).to_be_visible()


async def test_a_run_is_cancelled_with_a_reason(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    await activate(api, ORDER)
    run_id = await start(api, "order", amount=5000)
    await page.goto(f"/#/runs/{run_id}")
    await page.get_by_role("button", name="Cancel…").click()
    await page.get_by_label("Reason").fill("ordered twice")
    await page.get_by_role("button", name="Cancel the run").click()

    await expect(page.get_by_text("Cancelled by local")).to_be_visible()
    await expect(page.get_by_text("ordered twice")).to_be_visible()


def make_delivery(key: str | None) -> dict[str, Any]:
    """Return a workflow whose items wait for the same event, each with its key if there is one."""
    event = {"event": "delivered", **({"key": key} if key else {})}
    return {
        "id": "delivery",
        "name": "Delivery",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "each", "type": "loop", "collection": "{{ input.orders }}", "config": {"max_concurrency": 3}},
            {"id": "ask", "type": "wait", "name": "Delivered?", "config": event},
            {"id": "done", "type": "end"},
        ],
        "edges": [
            {"source": "trigger", "target": "each"},
            {"source": "each", "target": "ask", "condition": "body"},
            {"source": "each", "target": "done"},
        ],
    }


async def test_an_event_goes_to_the_item_whose_button_was_used(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """It was sent without the key, and no item took it."""
    world.script({}, customer)
    await activate(api, make_delivery("{{ item }}"))
    run_id = await start(api, "delivery", orders=["A-1", "A-2"])
    await page.goto(f"/#/runs/{run_id}")
    headline = page.get_by_text("“Delivered?” (each[1]) waits for the event “delivered” with the key “A-2”")
    await expect(headline).to_be_visible()

    async with page.expect_request("**/events/delivered?**") as sent:
        await page.get_by_role("button", name="Send the event…").nth(1).click()
        await page.get_by_role("button", name="Send", exact=True).click()
    request = await sent.value
    await expect(headline).to_be_hidden()

    assert "key=A-2" in request.url
    assert request.headers["idempotency-key"].startswith("console-")
    steps = (await api.get(f"/runs/{run_id}")).json()["steps"]
    assert {step["path"]: step["status"] for step in steps if step["node_id"] == "ask"} == {
        "each[0]": "waiting",
        "each[1]": "completed",
    }


async def test_items_that_wait_for_the_same_event_are_one_line(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    await activate(api, make_delivery(None))
    await page.goto(f"/#/runs/{await start(api, 'delivery', orders=[1, 2, 3])}")

    await expect(page.get_by_text("3 items wait for “delivered”; the first takes it")).to_be_visible()
    await page.get_by_role("button", name="Send the event…").click()
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_text("2 items wait for “delivered”; the first takes it")).to_be_visible()


async def test_a_completed_run_is_rerun_from_its_first_step(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    await page.goto(f"/#/runs/{await start(api, 'order', amount=5, lines=[1])}")
    await expect(page.get_by_text("Completed in")).to_be_visible()
    await page.get_by_role("button", name="Rerun…").click()

    await expect(page.get_by_text("Rerun from “Each line”?")).to_be_visible()


async def test_a_retry_with_other_parameters_sends_what_differs_and_no_secret(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """All of them were sent, the secrets as null and large numbers rounded."""
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    nodes = [dict(node) for node in ORDER["nodes"]]
    headers = {"Authorization": "{{ secrets.token }}", "X-Shop": "a"}
    nodes[4]["config"] = {"url": "https://pay.example", "method": "POST", "headers": headers, "json": {"order": LARGE}}
    await activate(api, {**ORDER, "nodes": nodes, "settings": {"on_error": "pause"}})
    await page.goto(f"/#/runs/{await start(api, 'order', amount=5)}")
    await page.get_by_role("button", name="Retry with…").click()
    field = page.get_by_label("Parameters (JSON)")
    text = await field.input_value()
    await field.fill(text.replace('"X-Shop": "a"', '"X-Shop": "b"'))
    await page.get_by_role("button", name="Continue the run").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("“headers.Authorization” is null")
    await field.fill(text.replace('"json": {', '"json": {"more": 1,'))
    async with page.expect_request("**/resolve?*") as sent:
        await page.get_by_role("button", name="Continue the run").click()
    await expect(page.get_by_text("Completed in")).to_be_visible()

    body = json.loads((await sent.value).post_data or "")
    assert body["parameters"] == {"json": {"more": 1, "order": LARGE}}


async def test_two_runs_are_compared_on_one_graph(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    first = await start(api, "order", amount=5, lines=[1])
    second = await start(api, "order", amount=5000)
    await wait_for_status(api, first, "completed")
    await wait_for_status(api, second, "waiting")
    await page.goto(f"/#/runs/{first}")
    await page.get_by_role("button", name="Compare…").click()
    await page.get_by_role("dialog").get_by_role("button", name=second).click()

    card = page.get_by_role("region", name="Comparison")
    await expect(card.get_by_role("row").filter(has_text="Charge card")).to_contain_text("completed")
    await expect(card.get_by_role("row").filter(has_text="Charge card")).to_contain_text("to come")
    differs = "Large order?, condition, differs: amount 5 > 1,000: false"
    await expect(page.get_by_role("button", name=differs)).to_be_visible()
    await card.get_by_role("button", name="Ask the manager").click()
    await expect(card).to_contain_text("Ask the manager in the other run")
    await card.get_by_role("link", name="The other").click()
    await expect(page.get_by_text("“Ask the manager” waits for the event “decided”")).to_be_visible()
    await expect(card).to_be_visible()
    await card.get_by_role("button", name="Close").click()
    await expect(card).to_be_hidden()


async def test_a_run_marks_where_it_left_the_usual_path(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    usual = [await start(api, "order", amount=5) for _ in range(10)]
    unusual = await start(api, "order", amount=5000)
    await wait_for_status(api, unusual, "waiting")
    for run_id in usual:
        await wait_for_status(api, run_id, "completed")
    assert (await api.post(f"/runs/{unusual}/events/decided", json={"approved": True})).status_code == 202
    await wait_for_status(api, unusual, "completed")

    async def count_archived() -> bool:
        return bool((await api.get("/workflows/order/versions/1/edges")).json()["runs"] == 11)

    await wait_until(count_archived)
    await page.goto(f"/#/runs/{unusual}")

    await page.get_by_role("button", name="left the usual path at “Large order?”").click()
    await expect(page.get_by_text("1 of the last 11 runs that came here left by “true”")).to_be_visible()
    await expect(page.get_by_text("true 9 %")).to_be_visible()
    await page.goto(f"/#/runs/{usual[0]}")
    await expect(page.get_by_text("false 91 %")).to_be_visible()
    await expect(page.get_by_text("left the usual path")).to_be_hidden()


async def test_a_run_in_progress_is_repaired_and_shows_who_did_what(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, {**ORDER, "variables": {"rate": 1}})
    run_id = await start(api, "order", amount=5000)
    await wait_for_status(api, run_id, "waiting")
    await page.goto(f"/#/runs/{run_id}")
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Set variables…").click()
    await dialog.get_by_label("Variables (JSON)").fill('{"rate": 2}')
    await dialog.get_by_label("Reason").fill("a new tariff")
    await dialog.get_by_role("button", name="Set variables").click()
    await page.get_by_role("button", name="Charge card, action, to come").click()
    await page.get_by_role("button", name="Give a result…").click()
    result = {"status": 200, "headers": {}, "body": {"paid": "by hand"}}
    await dialog.get_by_label("Result (JSON)").fill('{"paid": "by hand"}')
    await dialog.get_by_role("button", name="Give a result").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("status")
    await dialog.get_by_label("Result (JSON)").fill(json.dumps(result))
    await dialog.get_by_role("button", name="Give a result").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Ask the manager, wait").click()
    await page.get_by_role("button", name="Skip the wait…").click()
    await dialog.get_by_role("button", name="Skip the wait").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("has no edge for its timeout")
    await dialog.get_by_role("button", name="Close").last.click()
    await page.get_by_role("button", name="Skip…", exact=True).click()
    await dialog.get_by_role("button", name="Skip", exact=True).click()

    await expect(page.get_by_text("Completed in")).to_be_visible()
    deeds = page.get_by_role("region", name="Who did what").get_by_role("listitem")
    await expect(deeds).to_have_count(3)
    await expect(deeds.last).to_contain_text("local set variables: rate")
    await expect(deeds.last).to_contain_text("“a new tariff”")
    await expect(deeds.nth(1)).to_contain_text("local gave a result to “Charge card”")
    await expect(deeds.first).to_contain_text("local skipped “Ask the manager”")
    run = (await api.get(f"/runs/{run_id}")).json()
    assert run["context"]["rate"] == 2
    charge = next(step for step in run["steps"] if step["node_id"] == "charge")
    assert charge["output_data"] == result


async def test_a_run_is_run_again_from_a_step_in_an_iteration_and_only_for_its_failed_items(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": [REFUSED, CHARGED]}, customer)
    charge = next(node for node in ORDER["nodes"] if node["id"] == "charge")
    each = {"id": "each", "type": "loop", "name": "Each line", "collection": "{{ input.lines }}"}
    definition = {
        "id": "lines",
        "name": "Lines",
        "trigger": {"type": "manual"},
        "nodes": [{**each, "config": {"on_item_error": "continue"}}, charge, {"id": "done", "type": "end"}],
        "edges": [
            {"source": "trigger", "target": "each"},
            {"source": "each", "target": "charge", "condition": "body"},
            {"source": "each", "target": "done"},
        ],
    }
    await activate(api, definition)
    run_id = await start(api, "lines", amount=5, lines=[1, 2])
    await wait_for_status(api, run_id, "completed")
    await page.goto(f"/#/runs/{run_id}?step=each[1]/charge&node=charge")
    await page.get_by_role("button", name="Rerun from here…").click()
    await expect(page.get_by_text("Rerun from “Charge card” in each[1]?")).to_be_visible()
    await page.get_by_role("button", name="Do not rerun").click()

    await page.get_by_role("button", name="Each line, loop, completed, 1 of 2, 1 failed").press("Enter")
    await page.get_by_role("button", name="Only the 1 failed item…").click()
    await expect(page.get_by_text("Rerun the failed items of “Each line”?")).to_be_visible()
    node = page.get_by_role("button", name="Charge card, action")
    picker = page.get_by_role("combobox", name="Each line")
    await picker.select_option(index=0)
    await expect(node).to_have_accessible_name(re.compile("1 of 2 run again"))
    await picker.select_option(label="item 1 · failed")
    await expect(node).to_have_accessible_name(re.compile("begins here"))
    await picker.select_option(label="item 2 · completed")
    await expect(node).to_have_accessible_name(re.compile("reused"))
    await page.get_by_role("button", name="Start the rerun").click()
    await expect(page.get_by_role("button", name="Each line, loop, completed, 2 of 2")).to_be_visible()
