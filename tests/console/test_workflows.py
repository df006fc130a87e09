"""Workflows: started with a form, published, compared; written in the editor; what has arrived."""

import re

import httpx
from playwright.async_api import Page, expect

from tests.console.browser import tab_to
from tests.console.examples import CHARGED, ORDER, activate, start
from tests.temporal.world import World


async def test_a_run_is_started_with_a_form_made_from_the_input_schema(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    await page.goto("/#/workflows")
    await page.get_by_role("link", name="Order flow").click()
    await page.get_by_role("button", name="Start a run…").click()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("“Amount” is needed")
    await page.get_by_role("textbox", name="Amount").fill("12")
    await page.get_by_role("button", name="Start", exact=True).click()

    await expect(page.get_by_text("Completed in")).to_be_visible()
    assert len((await api.get("/runs")).json()["items"]) == 1


async def test_a_start_without_an_answer_says_that_it_may_have_been_done(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    """It said that the page tries again by itself, which it does for what it reads only."""
    world.script({"http.request": CHARGED}, customer)
    await activate(api, ORDER)
    await page.goto("/#/workflows/order")
    await page.get_by_role("button", name="Start a run…").click()
    await page.get_by_role("textbox", name="Amount").fill("12")
    await page.route("**/workflows/order/runs?*", lambda route: route.abort())
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("look before you try again")
    await page.unroute("**/workflows/order/runs?*")
    await page.get_by_role("button", name="Start", exact=True).click()

    await expect(page.get_by_text("Completed in")).to_be_visible()


async def test_versions_are_compared_on_the_graph_and_rolled_back(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    await activate(api, ORDER)
    changed = {**ORDER, "nodes": [*ORDER["nodes"][:-1], {**ORDER["nodes"][-1], "name": "Finished"}]}
    assert (await api.put("/workflows/order", json=changed)).status_code == 200
    assert (await api.post("/workflows/order/activate")).status_code == 200
    await page.goto("/#/workflows/order")

    await page.get_by_role("button", name="What changed").click()
    await expect(page.get_by_text("1 change since version 1")).to_be_visible()
    await expect(page.get_by_role("button", name="Finished, end, changed")).to_be_visible()
    await page.get_by_role("button", name="Roll back").click()
    await expect(page.get_by_role("button", name="Version 3")).to_be_visible()
    await page.get_by_role("button", name="Pause", exact=True).click()
    await expect(page.get_by_text("Paused", exact=True).first).to_be_visible()


async def test_two_versions_are_drawn_on_one_graph_with_what_was_removed(page: Page, api: httpx.AsyncClient) -> None:
    """A node that the newer version does not have was not on the graph."""
    await activate(api, ORDER)
    audit = {"id": "audit", "type": "action", "name": "Write the audit", "action": "log.message"}
    nodes = [node for node in ORDER["nodes"] if node["id"] != "decide"]
    edges = [edge for edge in ORDER["edges"] if "decide" not in (edge["source"], edge["target"])]
    second = [{"source": "large", "target": "audit", "condition": "true"}, {"source": "audit", "target": "charge"}]
    changed = {**ORDER, "nodes": [*nodes, {**audit, "config": {"message": "x"}}], "edges": [*edges, *second]}
    for definition in (changed, {**changed, "name": "Orders"}):
        assert (await api.put("/workflows/order", json=definition)).status_code == 200
        assert (await api.post("/workflows/order/activate")).status_code == 200
    await page.goto("/#/workflows/order")
    await page.get_by_role("button", name="Version 3").click()
    await page.get_by_role("combobox", name="Compare version 3 with").select_option(label="version 1")

    await expect(page.get_by_role("button", name="Ask the manager, wait, removed")).to_be_visible()
    await expect(page.get_by_role("button", name="Write the audit, action, added")).to_be_visible()
    await expect(page.get_by_role("button", name="Charge card, action, unchanged")).to_be_visible()


async def test_a_workflow_is_written_checked_simulated_saved_and_activated(page: Page, api: httpx.AsyncClient) -> None:
    await page.goto("/#/edit")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="greet, set")).to_be_visible()
    text = page.get_by_role("textbox", name="Definition")
    await text.click()
    await page.keyboard.press("Control+End")
    await page.keyboard.type("  - {source: greet, target: nowhere}")
    await expect(page.get_by_text("1 error", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="line 14")).to_contain_text("nowhere")

    await page.reload()
    await expect(page.get_by_text("not saved; kept in this tab")).to_be_visible()
    await page.get_by_role("button", name="Discard changes").click()
    await page.get_by_label("Input (JSON)").fill('{"name": "Ada"}')
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Simulate").click()
    await expect(page.get_by_text("Hello Ada")).to_be_visible()
    await expect(page.get_by_role("button", name="greet, set, completed")).to_be_visible()
    await page.get_by_role("button", name="Save and activate").click()

    await expect(page.get_by_role("heading", level=1, name="My workflow")).to_be_visible()
    stored = (await api.get("/workflows/my_workflow")).json()
    assert (stored["status"], stored["version"]) == ("active", 1)


async def test_a_draft_that_could_not_be_checked_is_checked_when_the_server_is_back(page: Page) -> None:
    """It stayed unchecked until the next key was typed."""
    await page.route("**/workflows/validate*", lambda route: route.abort())
    await page.goto("/#/edit")
    await expect(page.get_by_text("Not checked")).to_be_visible()
    await expect(page.get_by_text("the page tries again by itself")).to_be_visible()
    await page.unroute("**/workflows/validate*")
    await page.get_by_role("button", name="Simulate").click()

    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()


async def test_many_workflows_are_listed_in_pages_and_found_by_id(page: Page, api: httpx.AsyncClient) -> None:
    done = {"nodes": [{"id": "done", "type": "end"}], "edges": [{"source": "trigger", "target": "done"}]}
    for number in range(103):
        definition = {"id": f"many_{number:03}", "name": f"Number {number}", "trigger": {"type": "manual"}, **done}
        assert (await api.post("/workflows", json=definition)).status_code == 201
    await page.goto("/#/workflows")
    await expect(page.get_by_role("row")).to_have_count(101)
    await page.get_by_role("button", name="Show more workflows").click()
    await expect(page.get_by_role("row")).to_have_count(104)
    await page.get_by_label("Workflow ID").fill("many_10")
    await expect(page.get_by_role("row")).to_have_count(4)
    await expect(page).to_have_url(re.compile("id=many_10"))

    await page.get_by_label("Workflow ID").fill("none")
    await expect(page.get_by_role("heading", name="No workflow matches")).to_be_visible()
    await page.get_by_role("button", name="Remove the filter").click()
    await expect(page.get_by_role("row")).to_have_count(101)


async def test_what_does_not_exist_is_said_on_a_page_that_leads_back(page: Page) -> None:
    for kind in ("run", "workflow"):
        await page.goto(f"/#/{kind}s/none")
        await expect(page.get_by_role("heading", level=1)).to_contain_text(f"There is no {kind} 'none'")
        await page.get_by_role("link", name=f"Go to the {kind}s").click()
        await expect(page.get_by_role("heading", level=1)).not_to_contain_text("There is no")


async def test_long_names_hide_no_column_and_fit_a_phone(page: Page, api: httpx.AsyncClient, world: World) -> None:
    name, word = "A name that is much longer than the column that it is in", "word" * 40
    definition = {
        "id": "x" * 80,
        "name": name,
        "description": word,
        "trigger": {"type": "manual"},
        "nodes": [{"id": "n" * 80, "name": word, "type": "end"}],
        "edges": [{"source": "trigger", "target": "n" * 80}],
    }
    await activate(api, definition)
    run_id = await start(api, definition["id"])
    await page.set_viewport_size({"width": 1280, "height": 860})
    for path, last in {"runs": "Took", "workflows": "Last run"}.items():
        await page.goto(f"/#/{path}")
        await expect(page.get_by_role("link", name=name)).to_be_visible()
        await expect(page.get_by_role("columnheader", name=last, exact=True)).to_be_in_viewport(ratio=1)
    await page.set_viewport_size({"width": 390, "height": 844})
    for path, seen in {f"runs/{run_id}": "Completed in", f"workflows/{definition['id']}": "Statistics"}.items():
        await page.goto(f"/#/{path}")
        await expect(page.get_by_text(seen).first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path


async def test_what_has_arrived_is_listed_with_its_reason_and_processed_again(
    page: Page, api: httpx.AsyncClient
) -> None:
    await api.post("/events", json={"name": "order.lost", "data": {"id": 7}})
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/#/deliveries")

    await expect(page.get_by_text("no workflow has a trigger for this event")).to_be_visible()
    assert await page.locator(".scroll").evaluate("element => element.scrollWidth <= element.clientWidth")
    await page.get_by_role("button", name="Redrive").click()
    await expect(page.get_by_role("button", name="event order.lost")).to_have_count(2)


async def test_an_empty_installation_offers_examples_that_run_with_one_click(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({}, customer)
    for name, seen in {
        "Purchase approval": "waits for the event “purchase.decided”",
        "Order lines": "Completed in",
        "Large order": "Completed in",
    }.items():
        await page.goto("/#/workflows")
        await page.get_by_role("article").filter(has_text=name).get_by_role("button", name="Try it").click()
        await expect(page.get_by_text(seen)).to_be_visible()
        stored = (await api.get("/workflows")).json()["items"]
        await api.delete(f"/workflows/{stored[0]['id']}")


async def test_a_draft_is_saved_only_over_the_definition_that_it_was_made_from(
    page: Page, api: httpx.AsyncClient
) -> None:
    """A draft that a reload had kept was saved with the newest revision, over what somebody else had changed."""
    await activate(api, ORDER)
    await page.goto("/#/edit/order")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_role("textbox", name="Definition").click()
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" ")
    await expect(page.get_by_text("not saved; kept in this tab")).to_be_visible()
    assert (await api.put("/workflows/order", json={**ORDER, "name": "Of somebody else"})).status_code == 200

    await page.reload()
    await expect(page.get_by_text("someone else has saved since")).to_be_visible()
    async with page.expect_response("**/workflows/order?*") as refused:
        await page.get_by_role("button", name="Save", exact=True).click()
    assert (await refused.value).status == 412
    assert (await api.get("/workflows/order")).json()["name"] == "Of somebody else"
    await page.get_by_role("button", name="Discard changes").click()
    await expect(page.get_by_role("textbox", name="Definition")).to_contain_text("Of somebody else")


async def test_a_definition_keeps_the_digits_of_its_numbers_in_the_editor(page: Page, api: httpx.AsyncClient) -> None:
    """JavaScript rounds integers above 2^53: a save of something else changed them."""
    number = 9007199254740993
    node = {"id": "a", "type": "set", "config": {"number": number}}
    edges = [{"source": "trigger", "target": "a"}]
    definition = {"id": "large", "name": "Large", "trigger": {"type": "manual"}, "nodes": [node], "edges": edges}
    assert (await api.post("/workflows", json=definition)).status_code == 201
    await page.goto("/#/edit/large")

    await expect(page.get_by_role("textbox", name="Definition")).to_contain_text(str(number))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Saved")).to_be_visible()
    assert (await api.get("/workflows/large")).json()["nodes"][0]["config"]["number"] == number


async def test_yaml_is_shown_and_saved_as_it_was_written(page: Page, api: httpx.AsyncClient) -> None:
    """The editor showed JSON: the next save lost the comments and the layout."""
    text, save = page.get_by_role("textbox", name="Definition"), page.get_by_role("button", name="Save", exact=True)
    kept = page.get_by_text("not saved; kept in this tab")

    async def write_and_save(key: str, line: str) -> str:
        await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
        await text.focus()
        await page.keyboard.press(key)
        await page.keyboard.insert_text(line)
        await expect(kept).to_be_visible()
        await tab_to(page, save)
        await page.keyboard.press("Enter")
        await expect(kept).to_be_hidden()
        return (await api.get("/workflows/my_workflow", headers={"accept": "application/yaml"})).text

    await page.goto("/#/edit")
    created = await write_and_save("Control+Home", "# Greets people.\n")
    await page.wait_for_url("**/edit/my_workflow")
    await expect(text).to_contain_text("# Greets people.")
    await page.reload()
    changed = await write_and_save("Control+End", "# The end.\n")
    await page.reload()

    await expect(text).to_contain_text("# The end.")
    assert created.startswith("# Greets people.\nid: my_workflow\nname: My workflow\ntrigger: {type: manual}\n")
    assert changed == f"{created}# The end.\n"
    document = (await api.get("/workflows/my_workflow")).json()
    assert (await api.put("/workflows/my_workflow", json=document)).status_code == 200
    await page.reload()
    await expect(text).to_contain_text('"name": "My workflow"')


async def test_yaml_that_begins_with_a_brace_is_saved_as_yaml(page: Page, api: httpx.AsyncClient) -> None:
    """It was sent as JSON, and refused for its comment."""
    nodes, edges = "[{id: a, type: set, config: {x: 1}}]", "[{source: trigger, target: a}]"
    text = f"{{id: braces, name: Braces, trigger: {{type: manual}}, nodes: {nodes}, edges: {edges}}}  # short\n"
    yaml = {"content-type": "application/yaml"}
    assert (await api.post("/workflows", content=text, headers=yaml)).status_code == 201
    await page.goto("/#/edit/braces")
    await expect(page.get_by_role("textbox", name="Definition")).to_contain_text("# short")
    await page.get_by_role("button", name="Save", exact=True).click()

    await expect(page.get_by_text("Saved")).to_be_visible()
    assert (await api.get("/workflows/braces", headers={"accept": "application/yaml"})).text == text


async def test_what_can_be_written_at_a_position_is_completed(page: Page) -> None:
    """All keys and values of the schema were offered everywhere."""
    await page.goto("/#/edit")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_role("textbox", name="Definition").click()
    await page.keyboard.press("Control+End")
    options = page.get_by_role("option")
    await page.keyboard.type("  - {source: greet, tar")
    await expect(options).to_have_text(["targetkey"])
    await options.click()
    await page.keyboard.type(": do")
    await expect(options).to_have_text(["donenode"])
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Delete")
    await page.keyboard.insert_text(
        "nodes:\n  - id: call\n    type: action\n    action: http.request\n    config:\n      "
    )
    await page.keyboard.type("meth")
    await expect(options).to_have_text(["methodkey"])
    await options.click()
    await page.keyboard.type(": P")

    await expect(options).to_have_text(["PATCHvalue", "POSTvalue", "PUTvalue"])


async def test_the_names_that_a_template_can_read_are_completed(page: Page) -> None:
    await page.goto("/#/edit")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    text = page.get_by_role("textbox", name="Definition")
    await text.get_by_text("{{ text }}").click()
    await page.keyboard.press("End")
    for _ in range(len('}}"}}') + 1):
        await page.keyboard.press("ArrowLeft")
    await page.keyboard.type(" + steps.greet.output.te")

    options = page.get_by_role("option")
    await expect(options).to_have_text(["steps.greet.output.texttext"])
    await options.click()
    await expect(text).to_contain_text("{{ text + steps.greet.output.text }}")


async def test_the_deliveries_of_a_workflow_are_on_its_page_and_processed_again(
    page: Page, api: httpx.AsyncClient, world: World, customer: str
) -> None:
    world.script({"http.request": CHARGED}, customer)
    await activate(api, {**ORDER, "trigger": {"type": "event", "event": "order.placed"}, "settings": {}})
    assert (await api.post("/events", json={"name": "order.placed", "data": {"amount": 1}})).status_code == 202
    assert (await api.post("/events", json={"name": "order.lost", "data": {}})).status_code == 202
    await page.goto("/#/workflows/order")
    card = page.get_by_role("region", name="Deliveries")
    await expect(card.get_by_role("button", name="event order.placed")).to_have_count(1)
    await expect(card).not_to_contain_text("order.lost")
    await card.get_by_role("button", name="Redrive").click()

    await expect(card.get_by_role("button", name="event order.placed")).to_have_count(2)
    await card.get_by_role("link", name="All deliveries").click()
    await expect(page.get_by_role("button", name="of order: show all")).to_be_visible()
    await expect(page.get_by_role("button", name="event order.placed")).to_have_count(2)


async def test_a_text_that_begins_with_a_document_marker_is_simulated(page: Page) -> None:
    """The definition of the request had two documents, and was refused."""
    await page.goto("/#/edit")
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_role("textbox", name="Definition").click()
    await page.keyboard.press("Control+Home")
    await page.keyboard.insert_text("# A greeting.\n---\n")
    await expect(page.get_by_text("not saved; kept in this tab")).to_be_visible()
    await expect(page.get_by_text("Valid", exact=True)).to_be_visible()
    await page.get_by_label("Input (JSON)").fill('{"name": "Ada"}')
    await page.get_by_role("button", name="Simulate").click()

    await expect(page.get_by_text("Hello Ada")).to_be_visible()
