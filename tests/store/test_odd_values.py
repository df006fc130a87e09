"""Unusual values are stored unchanged or refused with ValueRefused, never with an error of the driver."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.store.api_keys import KeyNotFound, Keys
from orchestrator.store.database import Database, ValueRefused
from orchestrator.store.deliveries import ACCEPTED, Deliveries, Delivery, DeliveryNotFound, Start
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.workflows import Definitions, WorkflowNotFound

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUL, HALF, LONG = "nul \x00", "half \ud800", "x" * 20_000
TEXTS = {"nul": NUL, "half a pair": HALF, "long": LONG}


def make_delivery(delivery_id: str, **more: Any) -> Delivery:
    values: dict[str, Any] = {"customer_id": "acme", "name": "e", "key": None, "received": {}} | more
    return Delivery(id=delivery_id, kind="event", outcome=ACCEPTED, received_at=NOW, **values)


WRITES: dict[str, Callable[[Database, str], Awaitable[object]]] = {
    "id": lambda to, text: Definitions(to).create("acme", text, {}, "ada"),
    "customer": lambda to, text: Definitions(to).create(text, "w", {}, "ada"),
    "event": lambda to, text: Deliveries(to).accept(make_delivery("d", name=text), None),
    "taken key": lambda to, text: Deliveries(to).accept(make_delivery("d"), text),
    "run id": lambda to, text: Deliveries(to).accept(make_delivery("d", starts=(Start("w", 1, text),)), None),
    "key's customer": lambda to, text: Keys(to).create(text, "ci", ("read",)),
    "lease": lambda to, text: Leases(to, "me").acquire(text, 1),
}
TEXT_COLUMNS = {"event"}
"""Of any length."""


@pytest.mark.parametrize("said", TEXTS)
@pytest.mark.parametrize("written", WRITES)
async def test_a_value_that_a_column_cannot_store_is_refused(database: Database, written: str, said: str) -> None:
    sqlite = database.engine.dialect.name == "sqlite"
    kept = (said == "nul" and sqlite) or (said == "long" and (sqlite or written in TEXT_COLUMNS))

    if kept:
        await WRITES[written](database, TEXTS[said])
    else:
        with pytest.raises(ValueRefused, match="cannot store a value"):
            await WRITES[written](database, TEXTS[said])
        assert await Definitions(database).list_definitions(None) == []
        assert await Deliveries(database).list_deliveries(None) == [], "nothing was stored"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_ids_that_cannot_be_stored_are_not_found(database: Database, text: str) -> None:
    definitions, ledger, keys = Definitions(database), Deliveries(database), Keys(database)

    for operation, missing in (
        (definitions.get("acme", text), WorkflowNotFound),
        (definitions.save("acme", text, {}, None), WorkflowNotFound),
        (definitions.delete(text, "w", None), WorkflowNotFound),
        (ledger.get("acme", text), DeliveryNotFound),
        (keys.revoke(text), KeyNotFound),
        (keys.rotate(text, NOW), KeyNotFound),
    ):
        with pytest.raises(OrchestratorError) as caught:
            await operation
        assert type(caught.value) in {missing, ValueRefused}


@pytest.mark.parametrize("text", [NUL, HALF, LONG, "\U0001f600" * 300, "quote ' \" ; --", ""])
async def test_a_definition_stores_any_text(database: Database, text: str) -> None:
    definitions = Definitions(database)
    content = {"id": "w", "nodes": [{"id": text, text: [text]}]}

    stored = await definitions.create("acme", "w", content, "ada")
    await definitions.publish(stored, content, {"plan": text}, by="ada")

    assert (await definitions.get("acme", "w")).definition == content
    assert (await definitions.get_version("acme", "w", 1)).plan == {"plan": text}


@pytest.mark.parametrize("name", [NUL, LONG, "\U0001f600" * 300, "quote ' \" ; --"])
async def test_the_name_column_omits_nul_characters(database: Database, name: str) -> None:
    created = await Definitions(database).create("acme", "w", {"name": name}, "ada")

    stored = await Definitions(database).get("acme", "w")
    assert stored == created
    assert (stored.name, stored.definition["name"]) == (name.replace("\x00", ""), name)


async def test_a_lone_surrogate_is_refused_in_a_name(database: Database) -> None:
    with pytest.raises(ValueRefused):
        await Definitions(database).create("acme", "w", {"name": HALF}, "ada")

    assert await Definitions(database).list_definitions("acme") == []


@pytest.mark.parametrize("number", [-1, 0, 2, 2**31 - 1, 2**31, 2**63, 10**30])
async def test_version_numbers_out_of_range_are_not_found(database: Database, number: int) -> None:
    definitions = Definitions(database)
    stored = await definitions.create("acme", "w", {}, "ada")
    await definitions.publish(stored, {}, {}, by="ada")

    with pytest.raises(WorkflowNotFound, match=f"no published version {number}"):
        await definitions.get_version("acme", "w", number)
    listed = await definitions.list_versions("acme", "w", before=number, limit=9)
    assert [each.version for each in listed] == ([1] if number > 1 else [])


async def test_times_are_read_in_utc_to_the_microsecond(database: Database) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, timezone(timedelta(hours=5, minutes=45)))
    ledger, leases = Deliveries(database), Leases(database, "me")
    await ledger.accept(replace(make_delivery("d"), received_at=moment), None)
    await leases.acquire("work", 1)
    await leases.set_mark("work", moment)
    later = NOW.astimezone(moment.tzinfo) + timedelta(days=9999)
    _, secret = await Keys(database).create("acme", "ci", ("read",), later)

    times = [(await ledger.get("acme", "d")).received_at, await leases.get_mark("work")]
    assert times == [datetime(2026, 3, 28, 20, 45, 0, 123456, UTC)] * 2
    key = await Keys(database).verify(secret)
    assert key is not None
    assert [each.tzinfo for each in (*times, key.expires_at, key.created_at) if each is not None] == [UTC] * 4


async def test_empty_lists_of_ids_return_nothing(database: Database) -> None:
    assert await Definitions(database).load_callees("acme", []) == []
    assert await RunIndex(database).count_runs("acme", []) == {}
    await Deliveries(database).settle([])
