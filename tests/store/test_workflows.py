"""Definitions, versions and triggers."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.store.database import Database
from orchestrator.store.records import ACTIVE, PAUSED, REMOVED, Stored
from orchestrator.store.triggers import STALE, Triggers, WebhookTaken
from orchestrator.store.workflows import Definitions, EditConflict, WorkflowExists, WorkflowNotFound

PLAN = {"format": 1}
SCHEDULE = {"trigger": {"type": "schedule", "cron": "@daily", "config": {"overlap": "skip"}}}


@pytest.fixture
def definitions(database: Database) -> Definitions:
    return Definitions(database)


@pytest.fixture
def triggers(database: Database) -> Triggers:
    return Triggers(database)


async def publish(definitions: Definitions, name: str = "w", customer: str = "acme", **content: Any) -> Stored:
    stored = await definitions.create(customer, name, {"id": name, "name": "N", **content}, "ada")
    return await definitions.publish(stored, stored.definition, PLAN, by="ada")


async def test_publishing_a_workflow_installs_the_schedules_again_that_start_its_latest_version(
    definitions: Definitions, triggers: Triggers
) -> None:
    callee = await publish(definitions, "rate")
    for name, key in (("live", "rate@latest"), ("kept", "rate"), ("alike", "rate2@latest")):
        stored = await definitions.create("acme", name, {"id": name, "name": "N", **SCHEDULE}, "ada")
        await definitions.publish(stored, stored.definition, {**PLAN, "workflows": {key: {"id": "rate"}}}, by="ada")
        row = await triggers.get("acme", name)
        assert row is not None
        await triggers.mark_applied(row)

    await definitions.publish(callee, callee.definition, PLAN, by="ada")

    assert [row.workflow_id for row in await triggers.list_pending()] == ["live"]


async def test_a_stored_definition_is_read_back(definitions: Definitions) -> None:
    content = {"id": "w", "name": "Ünïcode ☃", "nodes": [{"id": "a"}], "n": 1.5, "deep": {"null": None}}

    created = await definitions.create("acme", "w", content, "ada")
    stored = await definitions.get("acme", "w")

    assert stored == created
    assert (stored.definition, stored.name, stored.created_by) == (content, "Ünïcode ☃", "ada")
    assert (stored.status, stored.version, stored.content_version, stored.revision) == ("draft", 0, 1, 1)
    assert stored.created_at.tzinfo == UTC
    assert abs((datetime.now(UTC) - stored.created_at).total_seconds()) < 60


async def test_customers_have_their_own_workflow_ids(definitions: Definitions) -> None:
    await definitions.create("acme", "w", {"name": "a"}, "ada")
    await definitions.create("other", "w", {"name": "b"}, "bo")

    with pytest.raises(WorkflowExists):
        await definitions.create("acme", "w", {}, "ada")
    with pytest.raises(WorkflowNotFound):
        await definitions.get("third", "w")
    with pytest.raises(WorkflowNotFound, match="several customers"):
        await definitions.get(None, "w")
    assert (await definitions.get("other", "w")).name == "b"


async def test_the_case_of_the_beginning_of_an_id_counts(definitions: Definitions) -> None:
    """IDs in another case must not fill the page on which a prefix is found to be unique."""
    for name in ("Ab1", "Ab2", "ab1", "ab2", "a_1", "ax1"):
        await definitions.create("acme", name, {}, "ada")

    async def list_ids(prefix: str) -> list[str]:
        return [each.id for each in await definitions.list_definitions("acme", id_prefix=prefix, limit=2)]

    assert await list_ids("ab") == ["ab1", "ab2"]
    assert await list_ids("Ab2") == ["Ab2"]
    assert await list_ids("a_") == ["a_1"]
    assert await list_ids("aB") == []


async def test_of_concurrent_saves_of_a_revision_exactly_one_succeeds(definitions: Definitions) -> None:
    await definitions.create("acme", "w", {"n": 0}, "ada")

    results = await asyncio.gather(
        *(definitions.save("acme", "w", {"n": number}, 1) for number in range(1, 9)), return_exceptions=True
    )

    won = [result for result in results if isinstance(result, Stored)]
    assert len(won) == 1
    assert all(isinstance(result, EditConflict) for result in results if result not in won)
    assert await definitions.get("acme", "w") == won[0]


async def test_versions_are_numbered_and_never_change(definitions: Definitions) -> None:
    first = await publish(definitions, n=1)
    edited = await definitions.save("acme", "w", {**first.definition, "n": 2}, first.revision)
    assert (edited.version, edited.content_version, edited.edited) == (1, 2, True)
    same = await definitions.save("acme", "w", first.definition, None)
    assert (same.content_version, same.edited) == (1, False), "edited back to the published version"
    second = await definitions.publish(same, {**first.definition, "n": 2}, PLAN, by="bo")

    listed = await definitions.list_versions("acme", "w", before=99, limit=10)

    assert [(each.version, each.definition["n"], each.published_by) for each in listed] == [(2, 2, "bo"), (1, 1, "ada")]
    assert [each.version for each in await definitions.list_versions("acme", "w", before=2, limit=10)] == [1]
    assert (second.version, second.definition["n"]) == (2, 2)
    with pytest.raises(EditConflict):
        await definitions.publish(same, {}, PLAN, by="late")
    with pytest.raises(WorkflowNotFound):
        await definitions.get_version("acme", "w", 3)
    with pytest.raises(WorkflowNotFound):
        await definitions.get_version("other", "w", 1)


async def test_a_rollback_does_not_touch_unpublished_edits(definitions: Definitions) -> None:
    first = await publish(definitions, n=1)
    edited = await definitions.save("acme", "w", {**first.definition, "n": 2}, None)

    older = await definitions.get_version("acme", "w", 1)
    back = await definitions.publish(edited, first.definition, PLAN, by="ada", copy_of=older)

    assert (back.version, back.definition["n"], back.edited) == (2, 2, True)
    assert (await definitions.get_version("acme", "w", 2)).copy_of == 1


async def test_an_active_workflow_has_a_pending_trigger_until_it_is_applied(
    definitions: Definitions, triggers: Triggers
) -> None:
    await publish(definitions, **SCHEDULE)
    (row,) = await triggers.list_pending()

    assert (row.kind, row.wanted, row.version, row.applied) == ("schedule", ACTIVE, 1, None)
    assert row.config == {"overlap": "skip"}
    assert await triggers.mark_applied(row) is True
    assert await triggers.list_pending() == []


async def test_a_change_of_status_makes_the_trigger_pending_again(definitions: Definitions, triggers: Triggers) -> None:
    stored = await publish(definitions, **SCHEDULE)
    (row,) = await triggers.list_pending()
    await triggers.mark_applied(row)

    await definitions.set_status(stored, PAUSED)
    (row,) = await triggers.list_pending()

    assert row.wanted == PAUSED


async def test_a_trigger_that_has_changed_meanwhile_is_not_marked_applied(
    definitions: Definitions, triggers: Triggers
) -> None:
    paused = await definitions.set_status(await publish(definitions, **SCHEDULE), PAUSED)
    (row,) = await triggers.list_pending()
    await definitions.set_status(paused, "archived")

    assert await triggers.mark_applied(row) is False
    assert [each.wanted for each in await triggers.list_pending()] == [REMOVED]


async def test_an_archived_workflow_loses_its_trigger_and_gets_it_back_when_activated(
    definitions: Definitions, triggers: Triggers
) -> None:
    archived = await definitions.set_status(await publish(definitions, **SCHEDULE), "archived")
    (row,) = await triggers.list_pending()

    assert await triggers.mark_applied(row) is True
    assert await triggers.get("acme", "w") is None
    await definitions.set_status(archived, ACTIVE)
    assert [each.wanted for each in await triggers.list_schedules()] == [ACTIVE]


async def test_deleting_a_workflow_requests_the_removal_of_its_schedule(definitions: Definitions) -> None:
    stored = await publish(definitions, **SCHEDULE)
    await Triggers(definitions.database).mark_applied((await Triggers(definitions.database).list_pending())[0])

    with pytest.raises(EditConflict):
        await definitions.delete("acme", "w", stored.revision + 1)
    await definitions.delete("acme", "w", stored.revision)

    (row,) = await Triggers(definitions.database).list_pending()
    assert (row.wanted, row.workflow_id) == (REMOVED, "w")
    assert await definitions.list_versions("acme", "w", before=99, limit=9) == []
    with pytest.raises(WorkflowNotFound):
        await definitions.delete("acme", "w", None)


async def test_a_schedule_that_becomes_an_event_trigger_is_removed(definitions: Definitions) -> None:
    stored = await publish(definitions, **SCHEDULE)
    await Triggers(definitions.database).mark_applied((await Triggers(definitions.database).list_pending())[0])

    await definitions.publish(stored, {"trigger": {"type": "event", "event": "e"}}, PLAN, by="ada")

    (row,) = await Triggers(definitions.database).list_pending()
    assert (row.kind, row.event) == ("event", "e")
    await Triggers(definitions.database).mark_applied(row)
    assert await Triggers(definitions.database).list_pending() == []
    assert [each.workflow_id for each in await Triggers(definitions.database).list_subscribers("acme")] == ["w"]
    assert await Triggers(definitions.database).list_subscribers("other") == []


async def test_a_webhook_path_belongs_to_one_workflow_of_a_customer(definitions: Definitions) -> None:
    hook = {"trigger": {"type": "webhook", "webhook_path": "/shop/in/"}}
    await publish(definitions, **hook)
    await publish(definitions, customer="other", **hook)

    webhook = await Triggers(definitions.database).find_webhook("acme", "shop/in")
    assert webhook is not None
    assert (webhook.workflow_id, webhook.customer_id) == ("w", "acme")
    with pytest.raises(WebhookTaken):
        await publish(definitions, name="second", **hook)
    assert (await definitions.get("acme", "second")).status == "draft", "nothing was stored"
    await definitions.set_status(await definitions.get("acme", "w"), "archived")
    await publish(definitions, name="third", **hook)


async def test_pages_list_everything_once(definitions: Definitions) -> None:
    for customer in ("b", "a"):
        for number in range(4):
            await definitions.create(customer, f"w{number}", {}, "ada")

    seen: list[tuple[str, str]] = []
    while page := await definitions.list_definitions(None, after=seen[-1] if seen else (), limit=3):
        seen += [(each.customer_id, each.id) for each in page]

    assert seen == [(customer, f"w{number}") for customer in "ab" for number in range(4)]
    assert [each.id for each in await definitions.list_definitions("a", status="draft", limit=2)] == ["w0", "w1"]
    assert await definitions.list_definitions("a", status="active") == []


async def test_callees_are_the_newest_version_the_pinned_ones_or_the_draft(definitions: Definitions) -> None:
    first = await publish(definitions, "published", n=1)
    edited = await definitions.save("acme", "published", {"id": "published", "n": 2}, first.revision)
    await definitions.publish(edited, edited.definition, PLAN, by="ada")
    await definitions.save("acme", "published", {"id": "published", "n": 3}, None)
    await definitions.create("acme", "draft", {"id": "draft", "n": 4}, "ada")
    await publish(definitions, "published", "other", n=5)

    calls = {("published", None), ("published", 1), ("published", 9), ("draft", 1), ("missing", None)}
    callees = await definitions.load_callees("acme", calls)
    assert await definitions.measure_callees("acme", calls) > 0
    assert await definitions.measure_callees("acme", []) == 0

    assert {(each.workflow_id, each.version, each.definition["n"], each.newest) for each in callees} == {
        ("published", 2, 2, True),
        ("published", 1, 1, False),
        ("draft", 0, 4, True),
    }


async def test_a_stale_schedule_is_installed_again(definitions: Definitions) -> None:
    for customer in ("acme", "other"):
        await publish(definitions, customer=customer, **SCHEDULE)
    for row in await Triggers(definitions.database).list_pending():
        await Triggers(definitions.database).mark_applied(row)
    assert await Triggers(definitions.database).list_pending() == []

    await Triggers(definitions.database).mark_stale("acme", "w")
    await Triggers(definitions.database).mark_stale("acme", "none")

    (row,) = await Triggers(definitions.database).list_pending()
    assert (row.customer_id, row.workflow_id, row.wanted, row.applied) == ("acme", "w", ACTIVE, STALE)


async def test_a_schedule_that_may_exist_is_removed_when_the_trigger_changes(definitions: Definitions) -> None:
    """The process may have died after it called Temporal; the next version has an event trigger."""
    stored = await publish(definitions, **SCHEDULE)
    await Triggers(definitions.database).mark_stale("acme", "w")
    event = {"id": "w", "name": "n", "trigger": {"type": "event", "event": "e"}}

    await definitions.publish(stored, event, {}, by="me")

    (row,) = await Triggers(definitions.database).list_pending()
    assert (row.kind, row.applied) == ("event", STALE)
    assert await Triggers(definitions.database).mark_applied(row)
    assert await Triggers(definitions.database).list_pending() == []


async def test_a_trigger_that_is_created_again_never_equals_the_old_one(definitions: Definitions) -> None:
    seen = set()
    for _ in range(3):
        await publish(definitions, **SCHEDULE)
        (row,) = await Triggers(definitions.database).list_pending()
        seen.add(row.revision)
        await definitions.delete("acme", "w", None)

    assert len(seen) == 3


async def test_each_database_has_its_own_installation_id(definitions: Definitions) -> None:
    name = await Triggers(definitions.database).get_installation()

    assert len(name) == 32
    assert await Triggers(definitions.database).get_installation() == name


async def test_subscribers_are_active_or_paused_and_of_the_same_customer(definitions: Definitions) -> None:
    event = {"trigger": {"type": "event", "event": "order.*"}}
    for name in ("b", "a", "paused", "archived"):
        await publish(definitions, name, **event)
    await publish(definitions, "theirs", "other", **event)
    await definitions.set_status(await definitions.get("acme", "paused"), PAUSED)
    await definitions.set_status(await definitions.get("acme", "archived"), "archived")

    assert [
        (each.workflow_id, each.event) for each in await Triggers(definitions.database).list_subscribers("acme")
    ] == [
        ("a", "order.*"),
        ("b", "order.*"),
        ("paused", "order.*"),
    ]
