"""API keys and leases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from orchestrator.errors import OperationRefused
from orchestrator.store.api_keys import KeyNotFound, Keys
from orchestrator.store.database import Database
from orchestrator.store.leases import Leases
from orchestrator.store.tables import api_keys

HOUR = timedelta(hours=1)


async def test_a_key_is_valid_until_it_is_revoked(database: Database) -> None:
    keys = Keys(database)
    created, secret = await keys.create("acme", "ci", ("read", "run"))

    assert (created.customer_id, created.scopes) == ("acme", ("read", "run"))
    assert await keys.verify(secret) == created
    await keys.revoke(created.id)
    assert await keys.verify(secret) is None


async def test_the_secret_of_a_key_is_not_stored(database: Database) -> None:
    _, secret = await Keys(database).create("acme", "ci", ("read", "run"))
    async with database.read_transaction() as connection:
        stored = str([dict(row) for row in (await connection.execute(select(api_keys))).mappings()])

    assert len(secret) > 40
    assert secret[-16:] not in stored


async def test_keys_are_configured_from_the_first_one_on(database: Database) -> None:
    keys = Keys(database)
    before = await keys.is_configured()
    created, _ = await keys.create("acme", "ci", ("read", "run"))
    await keys.revoke(created.id)

    assert (before, await keys.is_configured()) == (False, True)


async def test_a_customer_lists_its_own_keys(database: Database) -> None:
    keys = Keys(database)
    created, _ = await keys.create("acme", "ci", ("read", "run"))

    assert [each.id for each in await keys.list_keys("acme")] == [created.id]
    assert await keys.list_keys("other") == []


NO_KEYS = [
    "", "ork", "ork__", "ork_x_y", "xxx_{id}_{secret}", "ork_{id}_wrong", "ork_{id}_", "\x00", "ork_ü_ü",
    "ork_\x00_x", "ork_\ud800_x", "ork_{id}_\ud800", "ork_{id}_\x00", "ork_' OR 1=1_x", "\ud800",
    "ork_" + "x" * 9999 + "_x",
]  # fmt: skip


@pytest.mark.parametrize("presented", NO_KEYS)
async def test_a_malformed_key_is_not_valid(database: Database, presented: str) -> None:
    key, secret = await Keys(database).create("acme", "ci", ("read",))
    tried = presented.format(id=key.id, secret=secret.partition(f"{key.id}_")[2])

    assert await Keys(database).verify(tried) is None


async def test_an_expired_key_is_not_valid(database: Database) -> None:
    _, secret = await Keys(database).create("acme", "ci", ("read",), datetime.now(UTC) - HOUR)
    _, valid = await Keys(database).create("acme", "ci", ("read",), datetime.now(UTC) + HOUR)

    assert await Keys(database).verify(secret) is None
    assert await Keys(database).verify(valid) is not None


async def test_both_secrets_of_a_rotated_key_are_valid_for_a_while(database: Database) -> None:
    keys = Keys(database)
    key, old = await keys.create("acme", "ci", ("read",))

    new = await keys.rotate(key.id, datetime.now(UTC) + HOUR)
    assert [each is not None for each in (await keys.verify(old), await keys.verify(new))] == [True, True]
    newest = await keys.rotate(key.id, datetime.now(UTC))
    opened = [(await keys.verify(each)) is not None for each in (old, new, newest)]
    assert opened == [False, False, True]
    for unknown in (keys.rotate("none", datetime.now(UTC)), keys.revoke("none")):
        with pytest.raises(KeyNotFound):
            await unknown


@pytest.mark.parametrize(("ends", "why"), [(HOUR, "is revoked"), (-HOUR, "has expired")])
async def test_an_expired_or_revoked_key_cannot_be_rotated(database: Database, ends: timedelta, why: str) -> None:
    keys = Keys(database)
    key, _ = await keys.create("acme", "ci", ("read",), datetime.now(UTC) + ends)
    if ends > timedelta():
        await keys.revoke(key.id)

    with pytest.raises(OperationRefused, match=why):
        await keys.rotate(key.id, datetime.now(UTC))


async def test_a_lease_has_one_holder_until_it_is_released_or_expires(database: Database) -> None:
    holders = [Leases(database, f"process {number}") for number in range(5)]

    taken = await asyncio.gather(*(each.acquire("work", 60) for each in holders))

    assert sum(taken) == 1
    owner = holders[taken.index(True)]
    other = holders[taken.index(False)]
    assert await owner.acquire("work", 60) is True
    assert await other.acquire("work", 60) is False
    await other.release("work")
    assert await other.acquire("work", 60) is False, "only the holder can release it"
    await owner.release("work")
    assert await other.acquire("work", 0) is True, "without waiting"
    assert await owner.acquire("work", 60) is True, "an expired lease can be acquired"


async def test_a_mark_outlives_the_holder_of_the_lease(database: Database) -> None:
    leases, moment = Leases(database, "a"), datetime(2026, 5, 1, 12, 0, 0, 123456, UTC)
    assert await leases.get_mark("work") is None
    await leases.acquire("work", 0)
    await leases.set_mark("work", moment)
    other = Leases(database, "b")
    assert await other.acquire("work", 60) is True

    assert await other.get_mark("work") == moment
