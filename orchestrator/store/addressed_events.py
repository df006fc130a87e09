"""Events that are kept for runs that wait for their name and key, and the addresses for which runs wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.store.database import Database, get_time, retry_conflicts
from orchestrator.store.tables import (
    addressed_events,
    awaited_addresses,
    event_addresses,
    event_recipients,
    runs,
)

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AddressedEvent:
    """An event for the runs of a customer that wait for its name and key."""

    id: str
    """That of its delivery."""
    customer_id: str
    name: str
    data: Any
    key: str
    """What a `wait` may ask for beside the name."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """A run or a branch, and the addresses for which it waits."""

    id: str
    run_id: str
    customer_id: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A run that waits for an event, and has not been given it."""

    event: AddressedEvent
    run_id: str


class AddressedEvents:
    """The events of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def count(self, customer_id: str) -> int:
        """Return the number of events that are kept for a customer."""
        query = select(func.count()).where(addressed_events.c.customer_id == customer_id)
        async with self.database.read_transaction() as connection:
            return int(await connection.scalar(query) or 0)

    @retry_conflicts
    async def put(self, event: AddressedEvent, digests: Iterable[str]) -> None:
        """Keep an event under its addresses; one that is kept already stays as it is."""
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            values = {name: getattr(event, name) for name in addressed_events.c.keys()}  # noqa: SIM118 - columns
            done = await connection.execute(make(addressed_events).values(**values).on_conflict_do_nothing())
            if done.rowcount != 1:
                return
            rows = [{"event_id": event.id, "digest": each, "customer_id": event.customer_id} for each in digests]
            await connection.execute(insert(event_addresses), rows)

    @retry_conflicts
    async def set_awaited(self, flows: Sequence[Awaited]) -> None:
        """Record for which addresses runs and branches wait now."""
        async with self.database.write_transaction() as connection:
            ids = [flow.id for flow in flows]
            await connection.execute(delete(awaited_addresses).where(awaited_addresses.c.flow_id.in_(ids)))
            rows = [
                {"flow_id": flow.id, "digest": digest, "customer_id": flow.customer_id, "run_id": flow.run_id}
                for flow in flows
                for digest in flow.digests
            ]
            for at in range(0, len(rows), ROWS_AT_ONCE):
                await connection.execute(insert(awaited_addresses), rows[at : at + ROWS_AT_ONCE])

    async def list_recipients(self, limit: int) -> list[Recipient]:
        """List runs that wait for an event and have not been given it, those of the oldest events first."""
        given = exists().where(
            event_recipients.c.event_id == addressed_events.c.id,
            event_recipients.c.run_id == awaited_addresses.c.run_id,
        )
        is_awaited = and_(
            awaited_addresses.c.customer_id == event_addresses.c.customer_id,
            awaited_addresses.c.digest == event_addresses.c.digest,
        )
        async with self.database.read_transaction() as connection:
            query = (
                select(addressed_events.c.id, awaited_addresses.c.run_id, addressed_events.c.expires_at)
                .distinct()
                .select_from(addressed_events)
                .join(event_addresses, event_addresses.c.event_id == addressed_events.c.id)
                .join(awaited_addresses, is_awaited)
                .where(addressed_events.c.expires_at > get_time(connection), ~given)
                .order_by(addressed_events.c.expires_at, addressed_events.c.id)
                .limit(limit)
            )
            pairs = list(await connection.execute(query))
            wanted = select(addressed_events).where(addressed_events.c.id.in_({row.id for row in pairs}))
            events = {row["id"]: AddressedEvent(**row) for row in (await connection.execute(wanted)).mappings()}
        return [Recipient(events[row.id], row.run_id) for row in pairs if row.id in events]

    @retry_conflicts
    async def mark_given(self, recipients: Sequence[Recipient]) -> None:
        """Record that runs have been given events: none is given one twice."""
        async with self.database.write_transaction() as connection:
            make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            rows = [{"event_id": each.event.id, "run_id": each.run_id} for each in recipients]
            await connection.execute(make(event_recipients).on_conflict_do_nothing(), rows)

    async def list_given(self, event_id: str, limit: int) -> list[str]:
        """List the runs that have been given an event."""
        query = select(event_recipients.c.run_id).where(event_recipients.c.event_id == event_id)
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query.order_by(event_recipients.c.run_id).limit(limit)))

    @retry_conflicts
    async def prune(self) -> None:
        """Delete events that have expired, and the addresses of runs that have ended."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                delete(addressed_events).where(addressed_events.c.expires_at <= get_time(connection))
            )
            ended = select(runs.c.id).where(runs.c.completed_at.is_not(None))
            await connection.execute(delete(awaited_addresses).where(awaited_addresses.c.run_id.in_(ended)))
