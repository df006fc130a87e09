"""The audit log: entries are listed, and never changed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from orchestrator.store.audit import ALL_ENTRIES, Audit, AuditEntry, AuditFilter
from orchestrator.store.database import Database
from orchestrator.store.tables import audit

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ENTRIES = [
    AuditEntry("ci", "saveWorkflow", "w", "acme", "k1", "192.0.2.7", {"version": 1}, at=NOW),
    AuditEntry("Ada", "cancelRun", "r", "acme", "k2", "192.0.2.8", {"reason": "twice"}, at=NOW + timedelta(hours=1)),
    AuditEntry("Ada", "createKey", "k3", at=NOW + timedelta(hours=2)),
]


@pytest.fixture
async def log(database: Database) -> Audit:
    log = Audit(database)
    await log.add(ENTRIES)
    return log


@pytest.mark.parametrize(
    ("customer", "wanted", "expected"),
    [
        (None, ALL_ENTRIES, [2, 1, 0]),
        ("acme", ALL_ENTRIES, [1, 0]),
        ("other", ALL_ENTRIES, []),
        (None, AuditFilter(actor="Ada"), [2, 1]),
        (None, AuditFilter(operation="saveWorkflow"), [0]),
        (None, AuditFilter(target="r"), [1]),
        (None, AuditFilter(since=NOW + timedelta(hours=1)), [2, 1]),
        (None, AuditFilter(until=NOW + timedelta(hours=1)), [0]),
    ],
    ids=["all", "of a customer", "of another", "by actor", "by operation", "by target", "since", "until"],
)
async def test_entries_are_listed_newest_first(
    log: Audit, customer: str | None, wanted: AuditFilter, expected: list[int]
) -> None:
    found = await log.list_entries(customer, wanted)

    assert found == [ENTRIES[index] for index in expected]


async def test_entries_are_paged(log: Audit) -> None:
    (first,) = await log.list_entries(None, limit=1)
    rest = await log.list_entries(None, after=(first.at, first.id))

    assert [first, *rest] == ENTRIES[::-1]


async def test_the_database_refuses_to_change_or_delete_an_entry(log: Audit) -> None:
    for statement in (update(audit).values(actor="nobody"), delete(audit)):
        with pytest.raises(DBAPIError, match="append-only"):
            async with log.database.write_transaction() as connection:
                await connection.execute(statement)

    assert await log.list_entries(None) == ENTRIES[::-1]
