"""Events are kept for runs that wait for their address, and given to each of them once."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.model.run import RunSummary
from orchestrator.store.addressed_events import AddressedEvent, AddressedEvents, Awaited
from orchestrator.store.database import Database
from orchestrator.store.run_index import RunIndex

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)  # a test may run long after its module is read


def make_event(name: str, customer_id: str = "acme", expires_at: datetime = LATER) -> AddressedEvent:
    return AddressedEvent(name, customer_id, "order.confirmed", {"n": 1}, "7", expires_at)


@pytest.fixture
def events(database: Database) -> AddressedEvents:
    return AddressedEvents(database)


async def list_pairs(events: AddressedEvents) -> list[tuple[str, str]]:
    return sorted((each.event.id, each.run_id) for each in await events.list_recipients(10))


async def test_an_event_finds_those_who_wait_for_one_of_its_addresses(events: AddressedEvents) -> None:
    await events.put(make_event("one"), ["a", "b"])
    await events.put(make_event("foreign", "other"), ["a"])
    await events.put(make_event("old", expires_at=NOW - timedelta(seconds=1)), ["a"])
    await events.set_awaited(
        [
            Awaited("run-1", "run-1", "acme", ("a", "b")),
            Awaited("run-2/fork[0]", "run-2", "acme", ("b",)),
            Awaited("run-2/fork[1]", "run-2", "acme", ("b",)),
            Awaited("run-3", "run-3", "acme", ("c",)),
        ]
    )

    assert await list_pairs(events) == [("one", "run-1"), ("one", "run-2")]
    assert (await events.list_recipients(1))[0].event == make_event("one")


async def test_a_run_is_given_an_event_once(events: AddressedEvents) -> None:
    await events.put(make_event("one"), ["a"])
    await events.set_awaited([Awaited("run-1", "run-1", "acme", ("a",))])
    await events.mark_given(await events.list_recipients(10))
    await events.put(make_event("one"), ["a", "b"])
    await events.set_awaited([Awaited("run-1", "run-1", "acme", ("a", "b"))])

    assert await list_pairs(events) == []
    assert await events.list_given("one", 10) == ["run-1"]
    assert await events.count("acme") == 1


async def test_what_no_longer_waits_is_not_found(events: AddressedEvents) -> None:
    await events.put(make_event("one"), ["a"])
    await events.set_awaited([Awaited("run-1", "run-1", "acme", ("a",))])
    await events.set_awaited([Awaited("run-1", "run-1", "acme", ())])

    assert await list_pairs(events) == []


async def test_expired_events_and_ended_runs_are_forgotten(events: AddressedEvents, database: Database) -> None:
    await events.put(make_event("one"), ["a"])
    await events.put(make_event("old", expires_at=NOW - timedelta(seconds=1)), ["a"])
    await events.set_awaited([Awaited(name, name, "acme", ("a",)) for name in ("run-1", "run-2")])
    ended = RunSummary(
        id="run-1", workflow_id="w", workflow_version=1, status="completed", started_at=NOW, completed_at=NOW
    )
    await RunIndex(database).put([ended])
    await events.prune()

    assert await list_pairs(events) == [("one", "run-2")]
    assert await events.count("acme") == 1
