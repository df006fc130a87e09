"""Concurrent changes: one of them wins, and nothing is lost."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.model.run import RunSummary
from orchestrator.store.api_keys import Keys
from orchestrator.store.database import Database
from orchestrator.store.deliveries import ACCEPTED, STARTED, Deliveries, Delivery, Start
from orchestrator.store.records import ACTIVE, Stored, TriggerRow
from orchestrator.store.run_index import RunIndex
from orchestrator.store.triggers import Triggers, WebhookTaken
from orchestrator.store.workflows import Definitions, EditConflict, WorkflowExists, WorkflowNotFound
from tests.store.pending_starts import count_pending_starts

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROUNDS = 6
"""A race that one round misses occurs within a few: each of these failed on PostgreSQL before rows were locked."""


@pytest.fixture
def definitions(database: Database) -> Definitions:
    return Definitions(database)


def list_errors(results: list[Any]) -> list[type]:
    return [type(result) for result in results if isinstance(result, BaseException)]


async def test_of_concurrent_creations_exactly_one_succeeds(definitions: Definitions) -> None:
    results = await asyncio.gather(
        *(definitions.create("acme", "w", {"n": number}, "ada") for number in range(8)), return_exceptions=True
    )

    assert list_errors(results) == [WorkflowExists] * 7
    assert [await definitions.get("acme", "w")] == [each for each in results if isinstance(each, Stored)]


async def test_concurrent_publications_make_one_version(definitions: Definitions) -> None:
    draft = await definitions.create("acme", "w", {"name": "N"}, "ada")

    results = await asyncio.gather(
        *(definitions.publish(draft, {"name": "N", "n": number}, {}, by="ada") for number in range(8)),
        return_exceptions=True,
    )

    assert list_errors(results) == [EditConflict] * 7
    assert [each.version for each in await definitions.list_versions("acme", "w", before=99, limit=9)] == [1]


async def test_of_concurrent_publications_one_gets_the_webhook_path(definitions: Definitions) -> None:
    hook = {"trigger": {"type": "webhook", "webhook_path": "in"}}
    drafts = [await definitions.create("acme", f"w{number}", hook, "ada") for number in range(6)]

    results = await asyncio.gather(
        *(definitions.publish(draft, hook, {}, by="ada") for draft in drafts), return_exceptions=True
    )

    (winner,) = [each for each in results if isinstance(each, Stored)]
    assert list_errors(results) == [WebhookTaken] * 5
    webhook = await Triggers(definitions.database).find_webhook("acme", "in")
    assert webhook is not None
    assert webhook.workflow_id == winner.id
    assert [each.id for each in await definitions.list_definitions("acme", status=ACTIVE)] == [winner.id]


async def test_concurrent_saves_without_a_revision_all_succeed(definitions: Definitions) -> None:
    await definitions.create("acme", "w", {}, "ada")

    saved = await asyncio.gather(*(definitions.save("acme", "w", {"n": number}, None) for number in range(6)))

    assert sorted(each.revision for each in saved) == [2, 3, 4, 5, 6, 7]
    assert await definitions.get("acme", "w") == max(saved, key=lambda each: each.revision)


async def test_a_workflow_is_either_deleted_or_published(definitions: Definitions) -> None:
    event = {"trigger": {"type": "event", "event": "e"}}
    for number in range(ROUNDS):
        draft = await definitions.create("acme", f"w{number}", event, "ada")
        results = await asyncio.gather(
            definitions.publish(draft, event, {}, by="ada"),
            definitions.delete("acme", draft.id, draft.revision),
            return_exceptions=True,
        )
        assert list_errors(results) == [EditConflict]

    left = [each.id for each in await definitions.list_definitions("acme")]
    assert [each.workflow_id for each in await Triggers(definitions.database).list_subscribers("acme")] == left, (
        "no trigger of nothing"
    )


async def publish_wanted(definitions: Definitions, name: str) -> tuple[Stored, TriggerRow]:
    """Return a workflow whose schedule exists and is to be removed."""
    content = {"trigger": {"type": "schedule", "cron": "@daily"}}
    stored = await definitions.publish(await definitions.create("acme", name, content, "ada"), content, {}, by="ada")
    await Triggers(definitions.database).mark_applied((await Triggers(definitions.database).list_pending())[0])
    archived = await definitions.set_status(stored, "archived")
    (row,) = await Triggers(definitions.database).list_pending()
    return archived, row


async def test_a_trigger_that_is_activated_during_its_removal_remains(definitions: Definitions) -> None:
    for number in range(ROUNDS):
        archived, row = await publish_wanted(definitions, f"w{number}")

        await asyncio.gather(Triggers(definitions.database).mark_applied(row), definitions.set_status(archived, ACTIVE))

        trigger = await Triggers(definitions.database).get("acme", archived.id)
        assert trigger is not None
        assert (trigger.wanted, trigger.applied) in {(ACTIVE, None), (ACTIVE, row.applied)}
        assert [each.workflow_id for each in await Triggers(definitions.database).list_pending()] == [archived.id]
        await Triggers(definitions.database).mark_applied(trigger)


async def test_starts_that_are_settled_concurrently_leave_nothing_pending(database: Database) -> None:
    ledger = Deliveries(database)
    for number in range(ROUNDS):
        start_rows = tuple(Start(f"w{each}", 1, f"r{each}") for each in range(6))
        await ledger.accept(
            Delivery(f"d{number}", "acme", "event", "e", None, ACCEPTED, {}, NOW, starts=start_rows), None
        )
        kept = await ledger.get("acme", f"d{number}")

        await asyncio.gather(*(ledger.settle([replace(each, state=STARTED)]) for each in kept.starts))

    for number in range(ROUNDS):
        await ledger.postpone(f"d{number}", timedelta(seconds=-1))
    assert await ledger.list_due(99) == []
    assert await count_pending_starts(database) == 0


async def test_concurrent_writers_of_the_same_runs_do_not_deadlock(database: Database) -> None:
    index = RunIndex(database)
    runs = [
        RunSummary(
            id=f"r{number}", workflow_id="w", workflow_version=1, customer_id="acme", status="running",
            trigger_type="manual", started_at=NOW, completed_at=None, duration_ms=None,
        )
        for number in range(300)
    ]  # fmt: skip

    await asyncio.gather(*(index.put(runs if number % 2 else reversed(runs)) for number in range(8)))

    assert len(await index.list_runs("acme", limit=1000)) == 300


async def test_every_secret_of_concurrent_rotations_is_valid(database: Database) -> None:
    keys = Keys(database)
    key, _ = await keys.create("acme", "ci", ("read",))

    secrets = await asyncio.gather(*(keys.rotate(key.id, datetime.now(UTC) + timedelta(hours=1)) for _ in range(2)))

    assert [await keys.verify(each) for each in secrets] == [key, key]


MIGRATE = """
import asyncio, sys
from orchestrator.store.database import StoreOutdated, create_database

async def migrate():
    database = create_database(sys.argv[1])
    try:
        await database.check()  # connected, and everything imported: all begin together
    except StoreOutdated:
        print("ready", flush=True)
    sys.stdin.readline()
    await database.migrate()

asyncio.run(migrate())
"""


async def start_migration(url: str) -> asyncio.subprocess.Process:
    """Migrate as a process that has seen no tables and waits for a signal."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.process
async def test_concurrent_migrations_create_the_tables_once(empty: Database) -> None:
    url = empty.engine.url.render_as_string(hide_password=False)
    processes = await asyncio.gather(*(start_migration(url) for _ in range(2)))

    await asyncio.gather(*(each.communicate(b"\n") for each in processes))

    assert [each.returncode for each in processes] == [0, 0]
    await empty.check()


async def test_of_concurrent_deletions_exactly_one_succeeds(definitions: Definitions) -> None:
    await definitions.create("acme", "w", {}, "ada")

    results = await asyncio.gather(*(definitions.delete("acme", "w", None) for _ in range(4)), return_exceptions=True)

    assert list_errors(results) == [WorkflowNotFound] * 3
