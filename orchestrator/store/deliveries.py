"""The ledger of what came in to start runs, and the starts that each delivery owes.

A delivery and its starts are written together, before anything is started: whoever comes after a crash finds
what is still owed. Run ids stand in it, so a start that is made twice starts once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database
from orchestrator.store.tables import deliveries, starts

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"
PENDING, STARTED, RESUMED, FAILED = "pending", "started", "resumed", "failed"
ROWS_AT_ONCE = 500
CLAIM_TIMEOUT = timedelta(seconds=15)
"""So long a process may be silent about a delivery that it works on; then another one goes on with it."""
LISTED_STARTS = 20
"""Starts that a list shows of each delivery; the entry itself shows all."""


class DeliveryNotFound(OrchestratorError):
    """There is no such delivery."""

    code = "delivery_not_found"


@dataclass(frozen=True, slots=True)
class Start:
    """A run that a delivery starts, or has started."""

    workflow_id: str
    version: int
    """0 is the working copy."""
    run_id: str
    given: Any = None
    """The run's input; of a webhook that answers a run, `{"event": name}`."""
    state: str = PENDING
    reason: str | None = None
    delivery_id: str = ""
    customer_id: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in."""

    id: str
    customer_id: str
    kind: str
    """`event`, `webhook` or `start`."""
    name: str
    """The event, the path or the workflow."""
    key: str | None
    """What tells it from others, as the sender says."""
    outcome: str
    received: Any
    """What runs see as their trigger."""
    received_at: datetime
    reason: str | None = None
    duplicate_of: str | None = None
    redrive_of: str | None = None
    starts: tuple[Start, ...] = field(default=())
    """Of a duplicate, those of the delivery that won."""
    states: Mapping[str, int] = field(default_factory=dict)
    """How many starts stand how, where not all are given."""

    @property
    def pending(self) -> bool:
        """Tell whether some of its starts are still to be started."""
        return any(start.state == PENDING for start in self.starts)


class Deliveries:
    """The ledger of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def accept(self, delivery: Delivery, slot: str | None) -> Delivery:
        """Keep a delivery with what it will start; one whose key is taken is kept as a duplicate.

        Gives what is kept. It is the caller's to work on: nobody else takes it up before it is due.
        """
        async with self.database.write_transaction() as connection:
            if await self._insert(connection, delivery, slot):
                rows = [
                    {
                        "delivery_id": delivery.id,
                        "customer_id": delivery.customer_id,
                        **{name: getattr(start, name) for name in _START_FIELDS},
                    }
                    for start in delivery.starts
                ]
                for at in range(0, len(rows), ROWS_AT_ONCE):
                    await connection.execute(insert(starts), rows[at : at + ROWS_AT_ONCE])
                return delivery
            winner = select(deliveries.c.id).where(
                deliveries.c.customer_id == delivery.customer_id, deliveries.c.taken == slot
            )
            first = (await connection.execute(winner)).scalar()
            if first is not None:
                again = replace(delivery, outcome=DUPLICATE, duplicate_of=first, starts=())
                await self._insert(connection, again, None)
                return replace(again, starts=tuple(await _load_starts(connection, [first])))
        return await self.accept(delivery, slot)  # the key has been let go of since

    async def find_by_slot(self, customer_id: str, slot: str) -> Delivery | None:
        """Find the delivery that has taken a key."""
        found = await self._read(
            select(deliveries).where(deliveries.c.customer_id == customer_id, deliveries.c.taken == slot)
        )
        return next(iter(found), None)

    async def _insert(self, connection: AsyncConnection, delivery: Delivery, slot: str | None) -> bool:
        values = {name: getattr(delivery, name) for name in _DELIVERY_FIELDS}
        make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = make(deliveries).values(
            **values, taken=slot, open=delivery.pending, due_at=datetime.now(UTC) + CLAIM_TIMEOUT
        )
        return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1

    async def settle(self, outcomes: Iterable[Start]) -> None:
        """Note what became of starts; the rest of the delivery is still being worked on."""
        start_rows = list(outcomes)
        touched = {start.delivery_id for start in start_rows}
        async with self.database.write_transaction() as connection:
            # Locked: two that settle the last starts of a delivery at once would each see the other's as pending.
            mine = select(deliveries.c.id).where(deliveries.c.id.in_(touched)).order_by(deliveries.c.id)
            await connection.execute(mine.with_for_update())
            for start in start_rows:
                await connection.execute(
                    update(starts)
                    .where(starts.c.delivery_id == start.delivery_id, starts.c.workflow_id == start.workflow_id)
                    .values(state=start.state, reason=start.reason, run_id=start.run_id)
                )
            pending = select(starts.c.delivery_id).where(starts.c.state == PENDING)
            mine_still = update(deliveries).where(deliveries.c.id.in_(touched))
            await connection.execute(mine_still.values(due_at=datetime.now(UTC) + CLAIM_TIMEOUT))
            await connection.execute(mine_still.where(deliveries.c.id.not_in(pending)).values(open=False))

    async def is_pending(self, delivery_id: str) -> bool:
        """Tell whether some of a delivery's starts are still to be made, however many it has."""
        async with self.database.read_transaction() as connection:
            return bool(await connection.scalar(select(deliveries.c.open).where(deliveries.c.id == delivery_id)))

    async def list_due(self, limit: int) -> list[str]:
        """Name deliveries that owe starts and that nobody works on, those that have waited longest first.

        A start by hand is left to who asked for it, and has had no answer: the same key meets the same run.
        """
        query = select(deliveries.c.id).where(_is_due(datetime.now(UTC)), deliveries.c.kind != "start")
        async with self.database.read_transaction() as connection:
            return list(await connection.scalars(query.order_by(deliveries.c.due_at).limit(limit)))

    async def claim(self, delivery_id: str, work: timedelta = CLAIM_TIMEOUT) -> bool:
        """Take a delivery up that nobody works on; False where another process has."""
        now = datetime.now(UTC)
        async with self.database.write_transaction() as connection:
            done = await connection.execute(
                update(deliveries).where(deliveries.c.id == delivery_id, _is_due(now)).values(due_at=now + work)
            )
        return done.rowcount == 1

    async def postpone(self, delivery_id: str, pause: timedelta) -> None:
        """Leave a delivery that cannot go on now: it is due again after a pause."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, deliveries.c.open)
                .values(due_at=datetime.now(UTC) + pause)
            )

    async def release_slot(self, delivery_id: str) -> None:
        """Let the key of a delivery that came to nothing be used again."""
        async with self.database.write_transaction() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(taken=None))

    async def get(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Give a delivery; raises DeliveryNotFound."""
        query = select(deliveries).where(deliveries.c.id == delivery_id)
        if customer_id is not None:
            query = query.where(deliveries.c.customer_id == customer_id)
        found = await self._read(query)
        if not found:
            raise DeliveryNotFound(f"there is no delivery {delivery_id!r}")
        return found[0]

    async def list_deliveries(
        self,
        customer_id: str | None,
        *,
        kind: str | None = None,
        outcome: str | None = None,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[Delivery]:
        """List deliveries, the newest first, each with its first starts; `after` is `(received_at, id)` of the last."""
        query = select(deliveries)
        equal = {"customer_id": customer_id, "kind": kind, "outcome": outcome}
        for name, value in equal.items():
            if value is not None:
                query = query.where(deliveries.c[name] == value)
        if after:
            moment, last = after
            query = query.where(tuple_(deliveries.c.received_at, deliveries.c.id) < tuple_(moment, last))
        newest = query.order_by(deliveries.c.received_at.desc(), deliveries.c.id.desc()).limit(limit)
        return await self._read(newest, LISTED_STARTS)

    async def prune(self, before: datetime) -> int:
        """Forget what came in before a moment and owes nothing."""
        async with self.database.write_transaction() as connection:
            done = await connection.execute(
                delete(deliveries).where(
                    deliveries.c.received_at < before,
                    or_(deliveries.c.open.is_(False), deliveries.c.kind == "start"),
                )
            )
            return done.rowcount

    async def count_pending_starts(self) -> int:
        """Count the starts that are still owed."""
        async with self.database.read_transaction() as connection:
            query = select(func.count()).select_from(starts).where(starts.c.state == PENDING)
            return int((await connection.execute(query)).scalar_one())

    async def _read(self, query: Select[Any], first: int | None = None) -> list[Delivery]:
        async with self.database.read_transaction() as connection:
            found = [dict(row) for row in (await connection.execute(query)).mappings()]
            owners = [row["duplicate_of"] or row["id"] for row in found]
            start_rows: dict[str, list[Start]] = {}
            for start in await _load_starts(connection, owners, first):
                start_rows.setdefault(start.delivery_id, []).append(start)
            states: dict[str, dict[str, int]] = {}
            for owner, state, number in await _count_states(connection, owners) if first is not None else ():
                states.setdefault(owner, {})[state] = number
        return [
            Delivery(
                **{name: row[name] for name in _DELIVERY_FIELDS},
                starts=tuple(start_rows.get(owner, ())),
                states=states.get(owner, {}),
            )
            for row, owner in zip(found, owners, strict=True)
        ]


_START_FIELDS = ("workflow_id", "version", "run_id", "given", "state", "reason")
_DELIVERY_FIELDS = tuple(name for name in Delivery.__slots__ if name not in ("starts", "states"))


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(deliveries.c.open, or_(deliveries.c.due_at.is_(None), deliveries.c.due_at < now))


async def _load_starts(connection: AsyncConnection, owners: Sequence[str], first: int | None = None) -> list[Start]:
    query = select(starts).where(starts.c.delivery_id.in_(owners))
    if first is not None:
        position = func.row_number().over(partition_by=starts.c.delivery_id, order_by=starts.c.workflow_id)
        numbered = query.add_columns(position.label("position")).subquery()
        query = select(*(numbered.c[column.name] for column in starts.c)).where(numbered.c.position <= first)
        query = query.order_by(numbered.c.workflow_id)
    else:
        query = query.order_by(starts.c.workflow_id)
    return [Start(**row) for row in (await connection.execute(query)).mappings()]


async def _count_states(connection: AsyncConnection, owners: Sequence[str]) -> list[tuple[str, str, int]]:
    query = select(starts.c.delivery_id, starts.c.state, func.count()).where(starts.c.delivery_id.in_(owners))
    found = await connection.execute(query.group_by(starts.c.delivery_id, starts.c.state))
    return [(row[0], row[1], row[2]) for row in found]
