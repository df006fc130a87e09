"""The ledger of deliveries: idempotency, pending starts and pages."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.store.database import Database
from orchestrator.store.deliveries import (
    ACCEPTED,
    DUPLICATE,
    FAILED,
    REJECTED,
    STARTED,
    Deliveries,
    Delivery,
    DeliveryNotFound,
    Start,
)
from tests.store.pending_starts import count_pending_starts

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(database: Database) -> Deliveries:
    return Deliveries(database)


def make_delivery(name: str, *starts: str, customer: str = "acme", **more: object) -> Delivery:
    start_rows = tuple(Start(each, 1, f"{name}-{each}", input_data={"x": [1, None]}) for each in starts)
    base = Delivery(name, customer, "event", "order.paid", None, ACCEPTED, {"data": {"ü": 1}}, NOW, starts=start_rows)
    return replace(base, **more)  # type: ignore[arg-type] # names of the tests


async def test_an_accepted_delivery_is_read_with_its_starts(ledger: Deliveries) -> None:
    kept = await ledger.accept(make_delivery("d1", "a", "b"), "event:1")

    delivery = await ledger.get("acme", "d1")

    assert kept == make_delivery("d1", "a", "b")
    assert (delivery.received, delivery.received_at, delivery.outcome) == ({"data": {"ü": 1}}, NOW, ACCEPTED)
    assert [(s.workflow_id, s.run_id, s.input_data, s.state) for s in delivery.starts] == [
        (name, f"d1-{name}", {"x": [1, None]}, "pending") for name in "ab"
    ]
    with pytest.raises(DeliveryNotFound):
        await ledger.get("other", "d1")
    assert (await ledger.get(None, "d1")) == delivery


async def test_of_concurrent_deliveries_with_one_key_exactly_one_is_accepted(ledger: Deliveries) -> None:
    kept = await asyncio.gather(*(ledger.accept(make_delivery(f"d{n}", "a"), "event:same") for n in range(10)))

    winners = [each for each in kept if each.outcome == ACCEPTED]
    assert len(winners) == 1
    losers = [each for each in kept if each.outcome == DUPLICATE]
    assert {each.duplicate_of for each in losers} == {winners[0].id}
    assert {each.starts[0].run_id for each in losers} == {winners[0].starts[0].run_id}
    assert len(await ledger.list_deliveries("acme", outcome=DUPLICATE)) == 9
    assert await ledger.find_by_slot("acme", "event:same") is not None
    assert await count_pending_starts(ledger.database) == 1


async def test_idempotency_keys_of_customers_are_independent(ledger: Deliveries) -> None:
    first = await ledger.accept(make_delivery("d1"), "event:1")
    second = await ledger.accept(make_delivery("d2", customer="other"), "event:1")

    assert [first.outcome, second.outcome] == [ACCEPTED, ACCEPTED]
    assert [each.id for each in await ledger.list_deliveries("other")] == ["d2"]
    assert await ledger.find_by_slot("third", "event:1") is None


async def test_the_deliveries_of_one_workflow_are_those_that_start_it(ledger: Deliveries) -> None:
    await ledger.accept(make_delivery("both", "a", "b"), None)
    await ledger.accept(make_delivery("other", "b"), None)
    await ledger.accept(replace(make_delivery("by-hand", kind="start"), name="a"), None)
    await ledger.accept(replace(make_delivery("event"), name="a"), None)

    listed = await ledger.list_deliveries("acme", workflow_id="a")

    assert {each.id for each in listed} == {"both", "by-hand"}


async def test_pending_deliveries_are_due_until_they_are_settled(
    ledger: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.deliveries.CLAIM_TIMEOUT", timedelta(hours=1))
    await ledger.accept(make_delivery("old", "a", "b"), None)
    await ledger.accept(make_delivery("new", "a", received_at=NOW + timedelta(hours=1)), None)
    await ledger.accept(make_delivery("by hand", "a", kind="start"), None)

    assert await ledger.list_due(10) == [], "the process that accepted them holds the claim"
    for number, name in enumerate(("by hand", "new", "old")):
        await ledger.postpone(name, timedelta(seconds=-number))
    assert await ledger.list_due(10) == ["old", "new"], "manual starts are left to their sender"

    assert [await ledger.claim("old") for _ in range(2)] == [True, False]
    assert await ledger.list_due(10) == ["new"]
    first, second = (await ledger.get("acme", "old")).starts
    await ledger.settle([replace(first, state=STARTED)])
    await ledger.postpone("old", timedelta(seconds=-1))
    assert sorted(await ledger.list_due(10)) == ["new", "old"], "some starts are pending"
    await ledger.settle([replace(second, state=FAILED, reason="no such workflow")])

    assert await ledger.list_due(10) == ["new"]
    states = [(each.state, each.reason) for each in (await ledger.get("acme", "old")).starts]
    assert states == [("started", None), ("failed", "no such workflow")]
    assert not await ledger.claim("old")


async def test_a_released_key_can_be_used_again(ledger: Deliveries) -> None:
    await ledger.accept(make_delivery("d1", "a"), "webhook:k")
    await ledger.release_slot("d1")

    assert (await ledger.accept(make_delivery("d2", "a"), "webhook:k")).outcome == ACCEPTED
    assert (await ledger.accept(make_delivery("d3", "a"), "webhook:k")).duplicate_of == "d2"


async def test_lists_show_the_first_starts_and_the_number_by_state(ledger: Deliveries) -> None:
    for name in ("d1", "d2"):
        await ledger.accept(make_delivery(name, *(f"w{number:02}" for number in range(30))), None)
    whole = await ledger.get("acme", "d1")
    await ledger.settle([replace(start, state=STARTED) for start in whole.starts[:25]])

    listed = await ledger.list_deliveries("acme")

    assert [len(each.starts) for each in listed] == [20, 20]
    assert {each.id: dict(each.states) for each in listed} == {
        "d1": {"started": 25, "pending": 5},
        "d2": {"pending": 30},
    }
    assert [start.workflow_id for start in listed[0].starts] == [f"w{number:02}" for number in range(20)]
    assert len(whole.starts) == 30


async def test_pages_list_every_delivery_once_newest_first(ledger: Deliveries) -> None:
    for number in range(7):
        moment = NOW + timedelta(seconds=number // 2)  # some at the very same time
        await ledger.accept(make_delivery(f"d{number}", received_at=moment), None)
    await ledger.accept(make_delivery("hook", kind="webhook", outcome=REJECTED, reason="not signed"), None)

    seen: list[Delivery] = []
    while page := await ledger.list_deliveries(
        "acme", after=(seen[-1].received_at, seen[-1].id) if seen else (), limit=3
    ):
        seen += page

    assert len({each.id for each in seen}) == len(seen) == 8
    assert [each.received_at for each in seen] == sorted((each.received_at for each in seen), reverse=True)
    assert [each.reason for each in await ledger.list_deliveries(None, kind="webhook")] == ["not signed"]


async def test_old_deliveries_without_pending_starts_are_pruned(ledger: Deliveries) -> None:
    await ledger.accept(make_delivery("pending", "a"), "event:1")
    await ledger.accept(make_delivery("done"), "event:2")
    await ledger.accept(make_delivery("young", received_at=NOW + timedelta(days=2)), None)

    assert await ledger.prune(NOW + timedelta(days=1)) == 1

    assert {each.id for each in await ledger.list_deliveries("acme")} == {"pending", "young"}
    again = await ledger.accept(make_delivery("later"), "event:2")
    assert again.outcome == ACCEPTED, "the key of a pruned delivery can be used again"


async def test_thousands_of_starts_are_stored_in_one_transaction(ledger: Deliveries) -> None:
    names = [f"w{number:04}" for number in range(2000)]
    await ledger.accept(make_delivery("d", *names), None)

    delivery = await ledger.get("acme", "d")

    assert [each.workflow_id for each in delivery.starts] == names
    await ledger.settle([replace(each, state=STARTED) for each in delivery.starts[:1000]])
    assert await count_pending_starts(ledger.database) == 1000
