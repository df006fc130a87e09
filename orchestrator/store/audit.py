"""The audit log: who changed what, when, and from where. Lines are added and read, never changed or deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, tuple_

from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.tables import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change by a person or a program."""

    actor: str
    """Name of the API key."""
    operation: str
    """What was done: an operation of the API, such as `cancelRun`."""
    target: str
    """ID of what was changed."""
    customer_id: str = ""
    """Whose resource was changed; empty where it belongs to no customer."""
    key_id: str | None = None
    """`None` without an API key."""
    source: str = ""
    """Address of the client."""
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects entries; a field that is `None` selects all."""

    actor: str | None = None
    operation: str | None = None
    target: str | None = None
    since: datetime | None = None
    """Earliest time."""
    until: datetime | None = None
    """The time is before this."""


ALL_ENTRIES = AuditFilter()
INSERT = insert(audit)


class Audit:
    """The entries of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @retry_conflicts
    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """Append entries."""
        async with self.database.write_transaction() as connection:
            await connection.execute(INSERT, [_make_row(entry) for entry in entries])

    async def list_entries(
        self,
        customer_id: str | None,
        wanted: AuditFilter = ALL_ENTRIES,
        *,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[AuditEntry]:
        """List entries, the newest first; `None` as the customer means all.

        `after` is `(at, id)` of the last entry on the page before.
        """
        equal = {"actor": wanted.actor, "operation": wanted.operation, "target": wanted.target}
        equal["customer_id"] = customer_id
        query = select(audit).where(*(audit.c[name] == value for name, value in equal.items() if value is not None))
        if wanted.since is not None:
            query = query.where(audit.c.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(audit.c.at < wanted.until)
        if after:
            query = query.where(tuple_(audit.c.at, audit.c.id) < tuple_(*after))
        query = query.order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
        async with self.database.read_transaction() as connection:
            return [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]


def _make_row(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in AuditEntry.__slots__}
