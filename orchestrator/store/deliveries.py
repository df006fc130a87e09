"""The ledger of deliveries (events, webhooks, starts with an idempotency key) and of the runs that each one starts.

A delivery and its starts are written in one transaction before any run starts, so that pending starts survive a
crash. The run IDs are part of it: a start that is repeated starts one run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, case, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database, get_time, retry_conflicts
from orchestrator.store.delivery_queries import concerns_workflow, count_states, is_due
from orchestrator.store.tables import deliveries, starts

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"
PENDING, STARTED, RESUMED, FAILED = "pending", "started", "resumed", "failed"
PAUSED = "paused"
"""A start, or a delivery with no other, that waits for a paused workflow to be activated and for `release`."""
ROWS_AT_ONCE = 500
CLAIM_TIMEOUT = timedelta(seconds=15)
"""A process that has not settled a start for this long loses its claim on the delivery."""
LISTED_STARTS = 20
"""Number of starts that a list shows of each delivery."""


class DeliveryNotFound(OrchestratorError):
    """There is no such delivery."""

    code = "delivery_not_found"


class IdempotencyKeyReused(OrchestratorError):
    """The idempotency key has been used with other content."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Start:
    """A run that a delivery starts or has started."""

    workflow_id: str
    version: int
    """0 is the draft."""
    run_id: str
    input_data: Any = None
    """The input of the run; for a webhook that resumes a run, `{"event": name}`."""
    state: str = PENDING
    reason: str | None = None
    delivery_id: str = ""
    customer_id: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An accepted, duplicate or rejected request to start runs."""

    id: str
    customer_id: str
    kind: str
    """`event`, `webhook` or `start`."""
    name: str
    """The name of the event, the path of the webhook or the ID of the workflow."""
    key: str | None
    """The idempotency key that the sender chose."""
    outcome: str
    received: Any
    """The trigger data of the runs."""
    received_at: datetime
    reason: str | None = None
    duplicate_of: str | None = None
    redrive_of: str | None = None
    content: str | None = None
    """Digest of what was sent with the key; None where it is not known."""
    asked: list[dict[str, Any]] | None = None
    """What the workflows of its name or path answered, those first that it does not start."""
    starts: tuple[Start, ...] = field(default=())
    """The starts; those of the first delivery where this one is a duplicate."""
    states: Mapping[str, int] = field(default_factory=dict)
    """Number of starts by state, where `starts` is incomplete."""

    @classmethod
    def new(
        cls,
        kind: str,
        customer_id: str,
        name: str,
        received: Any,
        *,
        starts: Iterable[Start] = (),
        key: str | None = None,
        outcome: str = ACCEPTED,
        reason: str | None = None,
        redrive_of: str | None = None,
        content: str | None = None,
        asked: list[dict[str, Any]] | None = None,
    ) -> "Delivery":
        """Return a delivery that has just been received; accepted unless `outcome` says otherwise."""
        delivery_id = str(uuid4())
        owned = tuple(replace(start, delivery_id=delivery_id, customer_id=customer_id) for start in starts)
        if owned and all(start.state == PAUSED for start in owned):
            outcome = PAUSED
        return cls(
            id=delivery_id,
            customer_id=customer_id,
            kind=kind,
            name=name,
            key=key,
            outcome=outcome,
            received=received,
            received_at=datetime.now(UTC),
            reason=reason,
            redrive_of=redrive_of,
            content=content,
            asked=asked,
            starts=owned,
        )

    @property
    def pending(self) -> bool:
        """Return whether some of its starts are pending."""
        return any(start.state == PENDING for start in self.starts)

    def require_content(self, content: str | None) -> None:
        """Raise IdempotencyKeyReused where a request with the key of this delivery has other content."""
        if None not in (content, self.content) and content != self.content:
            raise IdempotencyKeyReused(
                f"the idempotency key was used before, at {self.received_at:%Y-%m-%dT%H:%M:%SZ}, with other content",
                hint="use a new key for other content, or send the same content again",
            )


class Deliveries:
    """The ledger of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @retry_conflicts
    async def accept(self, delivery: Delivery, slot: str | None) -> Delivery:
        """Store a delivery with its starts, or as a duplicate where another delivery holds the idempotency slot.

        Return what is stored. The caller has the claim on it until CLAIM_TIMEOUT. Raises IdempotencyKeyReused.
        """
        async with self.database.write_transaction() as connection:
            if await self._insert(connection, delivery, slot):
                rows = [
                    {
                        "delivery_id": delivery.id,
                        "customer_id": delivery.customer_id,
                        **{name: getattr(start, name) for name in _START_FIELDS},
                        "given": start.input_data,
                    }
                    for start in delivery.starts
                ]
                for at in range(0, len(rows), ROWS_AT_ONCE):
                    await connection.execute(insert(starts), rows[at : at + ROWS_AT_ONCE])
                return delivery
            winner = select(deliveries).where(
                deliveries.c.customer_id == delivery.customer_id, deliveries.c.taken == slot
            )
            row = (await connection.execute(winner)).mappings().first()
            if row is not None:
                first = _read_row(dict(row))
                first.require_content(delivery.content)
                again = replace(delivery, outcome=DUPLICATE, duplicate_of=first.id, starts=())
                await self._insert(connection, again, None)
                return replace(again, starts=tuple(await _load_starts(connection, [first.id])))
        return await self.accept(delivery, slot)  # the slot has been released in the meantime

    async def find_by_slot(self, customer_id: str, slot: str) -> Delivery | None:
        """Return the delivery that holds an idempotency slot."""
        rows = await self._read(
            select(deliveries).where(deliveries.c.customer_id == customer_id, deliveries.c.taken == slot)
        )
        return next(iter(rows), None)

    async def _insert(self, connection: AsyncConnection, delivery: Delivery, slot: str | None) -> bool:
        values = {name: getattr(delivery, name) for name in _DELIVERY_FIELDS}
        make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = make(deliveries).values(
            **values, taken=slot, open=delivery.pending, due_at=get_time(connection, CLAIM_TIMEOUT)
        )
        return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1

    @retry_conflicts
    async def settle(self, outcomes: Sequence[Start]) -> None:
        """Record the outcome of starts, and renew the claim on their deliveries."""
        touched = {start.delivery_id for start in outcomes}
        async with self.database.write_transaction() as connection:
            # Locked: of two that settle the last starts of a delivery at once, each would see the other's as pending.
            mine = select(deliveries.c.id).where(deliveries.c.id.in_(touched)).order_by(deliveries.c.id)
            await connection.execute(mine.with_for_update())
            for start in outcomes:
                await connection.execute(
                    update(starts)
                    .where(starts.c.delivery_id == start.delivery_id, starts.c.workflow_id == start.workflow_id)
                    .values(state=start.state, reason=start.reason, run_id=start.run_id)
                )
            pending = select(starts.c.delivery_id).where(starts.c.state == PENDING)
            mine_still = update(deliveries).where(deliveries.c.id.in_(touched))
            await connection.execute(mine_still.values(due_at=get_time(connection, CLAIM_TIMEOUT)))
            await connection.execute(mine_still.where(deliveries.c.id.not_in(pending)).values(open=False))

    async def is_pending(self, delivery_id: str) -> bool:
        """Return whether some starts of a delivery are pending."""
        async with self.database.read_transaction() as connection:
            return bool(await connection.scalar(select(deliveries.c.open).where(deliveries.c.id == delivery_id)))

    async def list_due(self, limit: int) -> list[str]:
        """List deliveries with pending starts whose claim has expired, the longest overdue first.

        Manual starts are left out: their sender has had no response, and repeats the request with the same key.
        """
        async with self.database.read_transaction() as connection:
            query = select(deliveries.c.id).where(is_due(get_time(connection)), deliveries.c.kind != "start")
            return list(await connection.scalars(query.order_by(deliveries.c.due_at).limit(limit)))

    @retry_conflicts
    async def claim(self, delivery_id: str) -> bool:
        """Claim a due delivery; return `False` where another process has claimed it."""
        async with self.database.write_transaction() as connection:
            done = await connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, is_due(get_time(connection)))
                .values(due_at=get_time(connection, CLAIM_TIMEOUT))
            )
        return done.rowcount == 1

    @retry_conflicts
    async def postpone(self, delivery_id: str, pause: timedelta) -> None:
        """Release the claim on a delivery; it is due again after a pause."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, deliveries.c.open)
                .values(due_at=get_time(connection, pause))
            )

    @retry_conflicts
    async def release(
        self,
        customer_id: str,
        workflow_id: str,
        version: int,
        *,
        delivery_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Make the paused starts of a workflow pending, with the version that is active now; return their number.

        They are due at once, or claimed by the caller where it names the delivery.
        """
        chosen = select(deliveries.c.id).where(deliveries.c.customer_id == customer_id)
        for condition in (
            None if delivery_id is None else deliveries.c.id == delivery_id,
            None if since is None else deliveries.c.received_at >= since,
            None if until is None else deliveries.c.received_at < until,
        ):
            chosen = chosen if condition is None else chosen.where(condition)
        paused = (
            starts.c.customer_id == customer_id,
            starts.c.workflow_id == workflow_id,
            starts.c.state == PAUSED,
            starts.c.delivery_id.in_(chosen),
        )
        async with self.database.write_transaction() as connection:
            # Locked: of two that release at once, the second finds no paused starts.
            found = await connection.scalars(
                select(deliveries.c.id)
                .where(deliveries.c.id.in_(select(starts.c.delivery_id).where(*paused)))
                .order_by(deliveries.c.id)
                .with_for_update()
            )
            ids, released = list(found), 0
            due_at = None if delivery_id is None else get_time(connection, CLAIM_TIMEOUT)
            for at in range(0, len(ids), ROWS_AT_ONCE):
                batch = ids[at : at + ROWS_AT_ONCE]
                mine = (*paused[:3], starts.c.delivery_id.in_(batch))
                done = await connection.execute(update(starts).where(*mine).values(state=PENDING, version=version))
                released += done.rowcount
                # Outcomes follow from the states: a delivery that was paused as a whole has been accepted now.
                await connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_(batch))
                    .values(open=True, due_at=due_at, outcome=_accept_paused())
                )
        return released

    @retry_conflicts
    async def release_slot(self, delivery_id: str) -> None:
        """Release the idempotency slot of a delivery that failed, so that its key can be used again."""
        async with self.database.write_transaction() as connection:
            await connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(taken=None))

    async def get(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Return a delivery; raises DeliveryNotFound."""
        query = select(deliveries).where(deliveries.c.id == delivery_id)
        if customer_id is not None:
            query = query.where(deliveries.c.customer_id == customer_id)
        rows = await self._read(query)
        if not rows:
            raise DeliveryNotFound(f"there is no delivery {delivery_id!r}")
        return rows[0]

    async def list_deliveries(
        self,
        customer_id: str | None,
        *,
        kind: str | None = None,
        outcome: str | None = None,
        workflow_id: str | None = None,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[Delivery]:
        """List deliveries with their first starts, newest first; `after` is `(received_at, id)` of the last one."""
        query = select(deliveries).where(*([] if workflow_id is None else [concerns_workflow(workflow_id)]))
        equal = {"customer_id": customer_id, "kind": kind, "outcome": outcome}
        for name, value in equal.items():
            if value is not None:
                query = query.where(deliveries.c[name] == value)
        if after:
            moment, last = after
            query = query.where(tuple_(deliveries.c.received_at, deliveries.c.id) < tuple_(moment, last))
        newest = query.order_by(deliveries.c.received_at.desc(), deliveries.c.id.desc()).limit(limit)
        return await self._read(newest, LISTED_STARTS)

    @retry_conflicts
    async def prune(self, before: datetime) -> int:
        """Delete deliveries that were received before a time and have no pending starts; return their number."""
        async with self.database.write_transaction() as connection:
            done = await connection.execute(
                delete(deliveries).where(
                    deliveries.c.received_at < before,
                    or_(deliveries.c.open.is_(False), deliveries.c.kind == "start"),
                )
            )
            return done.rowcount

    @retry_conflicts
    async def prune_rejected(self, customer_id: str, name: str, kept: int) -> None:
        """Delete all but the newest refused deliveries of a webhook."""
        of_webhook = (
            deliveries.c.customer_id == customer_id, deliveries.c.name == name, deliveries.c.outcome == REJECTED
        )  # fmt: skip
        newest = select(deliveries.c.id).where(*of_webhook).order_by(deliveries.c.received_at.desc()).limit(kept)
        async with self.database.write_transaction() as connection:
            await connection.execute(delete(deliveries).where(*of_webhook, deliveries.c.id.not_in(newest)))

    async def _read(self, query: Select[Any], first: int | None = None) -> list[Delivery]:
        async with self.database.read_transaction() as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
            owners = [row["duplicate_of"] or row["id"] for row in rows]
            start_rows: dict[str, list[Start]] = {}
            for start in await _load_starts(connection, owners, first):
                start_rows.setdefault(start.delivery_id, []).append(start)
            states: dict[str, dict[str, int]] = {}
            for owner, state, number in await count_states(connection, owners) if first is not None else ():
                states.setdefault(owner, {})[state] = number
        return [
            replace(_read_row(row), starts=tuple(start_rows.get(owner, ())), states=states.get(owner, {}))
            for row, owner in zip(rows, owners, strict=True)
        ]


_START_FIELDS = ("workflow_id", "version", "run_id", "state", "reason")
_START_COLUMNS = (
    *(starts.c[name] for name in (*_START_FIELDS, "delivery_id", "customer_id")),
    starts.c.given.label("input_data"),
)
_DELIVERY_FIELDS = tuple(name for name in Delivery.__slots__ if name not in ("starts", "states"))


def _read_row(row: Mapping[str, Any]) -> Delivery:
    return Delivery(**{name: row[name] for name in _DELIVERY_FIELDS})


def _accept_paused() -> Any:
    return case((deliveries.c.outcome == PAUSED, ACCEPTED), else_=deliveries.c.outcome)


async def _load_starts(connection: AsyncConnection, owners: Sequence[str], first: int | None = None) -> list[Start]:
    query = select(*_START_COLUMNS).where(starts.c.delivery_id.in_(owners))
    if first is not None:
        position = func.row_number().over(partition_by=starts.c.delivery_id, order_by=starts.c.workflow_id)
        numbered = query.add_columns(position.label("position")).subquery()
        query = select(*(numbered.c[column.name] for column in _START_COLUMNS)).where(numbered.c.position <= first)
        query = query.order_by(numbered.c.workflow_id)
    else:
        query = query.order_by(starts.c.workflow_id)
    return [Start(**row) for row in (await connection.execute(query)).mappings()]
