"""Events: written down with every run they owe, then those runs are started, however often that takes.

Once an event has been accepted, no crash loses a start and none is made twice: the ids of the runs are kept
before the first one starts.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from orchestrator.conditions import compile_condition
from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.expressions import Env
from orchestrator.plan import Plan
from orchestrator.service.operations import Operations
from orchestrator.service.starts import Starts, settled
from orchestrator.service.workflows import Workflows
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.definitions import ACTIVE, TriggerRow
from orchestrator.store.deliveries import (
    ACCEPTED,
    FAILED,
    PENDING,
    REJECTED,
    RESUMED,
    STARTED,
    Deliveries,
    Delivery,
    Start,
)

AT_ONCE = 32
"""Starts under way at a time, for one delivery."""
SETTLED_AT_ONCE = 100
ANSWER_SECONDS = 10.0
"""How long a sender waits for the starts; they go on after that."""
OWED_AFTER = timedelta(seconds=15)
"""What owes starts for so long has been left by a process that ended."""
REDRIVEN_AT_ONCE = 20


class Events:
    """Deliveries of all customers that start runs of what they subscribe to."""

    def __init__(self, workflows: Workflows, deliveries: Deliveries, starts: Starts, operations: Operations) -> None:
        self.workflows = workflows
        self.operations = operations
        self.deliveries = deliveries
        self.starts = starts
        self._working: set[asyncio.Task[None]] = set()

    async def accept(self, customer_id: str, name: str, data: Any, event_id: str | None = None) -> Delivery:
        """Take an event in and start every active workflow that waits for it.

        Gives the ledger's entry; one whose id has come before is a duplicate, with the runs of the first.
        """
        received = {"id": event_id or str(uuid4()), "name": name, "data": data}
        delivery = Delivery(
            id=str(uuid4()),
            customer_id=customer_id,
            kind="event",
            name=name,
            key=event_id,
            outcome=ACCEPTED,
            received=received,
            received_at=datetime.now(UTC),
            starts=await self._subscribed(customer_id, received),
        )
        kept = await self.deliveries.accept(delivery, None if event_id is None else f"event:{event_id}")
        return await self.deliver(kept)

    async def redrive(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Take in again what was delivered before, as news; raises DeliveryNotFound and OperationRefused."""
        old = await self.deliveries.get(customer_id, delivery_id)
        if old.kind == "event":
            starts = await self._subscribed(old.customer_id, old.received)
        elif old.kind == "webhook" and old.outcome != REJECTED:
            row = await self.workflows.definitions.webhook(old.customer_id, old.name)
            starts = owed_to([row] if row is not None and row.wanted == ACTIVE else [])
            if old.starts and old.starts[0].given is not None:
                starts = tuple(replace(start, state=PENDING, reason=None, delivery_id="") for start in old.starts)
        else:
            raise OperationRefused(
                f"a delivery of kind {old.kind!r} that was {old.outcome} cannot be redriven",
                hint="what was refused must be sent again by whoever can sign it" if old.kind == "webhook" else None,
            )
        again = Delivery(
            id=str(uuid4()),
            customer_id=old.customer_id,
            kind=old.kind,
            name=old.name,
            key=old.key,
            outcome=ACCEPTED,
            received=old.received,
            received_at=datetime.now(UTC),
            redrive_of=old.id,
            starts=starts,
        )
        return await self.deliver(await self.deliveries.accept(again, None))

    async def deliver(self, kept: Delivery) -> Delivery:
        """Start what a delivery owes, and give it as it is then; what takes long goes on without the sender."""
        if not any(start.state == PENDING for start in kept.starts):
            return kept
        task = asyncio.create_task(self._start_owed(kept))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        try:
            await asyncio.wait_for(asyncio.shield(task), ANSWER_SECONDS)
        except (TimeoutError, ServerUnavailable, StoreUnavailable):
            # It has been accepted and is written down: what is missing is started later.
            return kept
        return await self.deliveries.get(kept.customer_id, kept.id)

    async def redrive_owed(self) -> None:
        """Start what deliveries still owe that a process has left behind."""
        while True:
            owing = await self.deliveries.owed(datetime.now(UTC) - OWED_AFTER, REDRIVEN_AT_ONCE)
            for delivery in owing:
                await self._start_owed(delivery)
            if len(owing) < REDRIVEN_AT_ONCE:
                return

    async def aclose(self) -> None:
        """Let starts under way come to their end."""
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _subscribed(self, customer_id: str, received: dict[str, Any]) -> tuple[Start, ...]:
        """Make the starts of what waits for an event; a filter that cannot be decided fails its own start alone."""
        found: list[Start] = []
        for row in await self.workflows.definitions.subscribers(customer_id):
            try:
                if _wants(row, received):
                    found += owed_to([row])
            except OrchestratorError as error:
                (start,) = owed_to([row])
                found.append(replace(start, state=FAILED, reason=f"the filter cannot be decided: {error}"))
        return tuple(found)

    async def _start_owed(self, kept: Delivery) -> None:
        """Start what is pending; raises ServerUnavailable with the rest still owed."""
        owed = [start for start in kept.starts if start.state == PENDING]
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(start: Start) -> Start:
            async with slots:
                return await self._start(kept, start)

        for at in range(0, len(owed), SETTLED_AT_ONCE):
            made = await asyncio.gather(*map(one, owed[at : at + SETTLED_AT_ONCE]), return_exceptions=True)
            await self.deliveries.settle([start for start in made if isinstance(start, Start)])
            for failure in made:
                if isinstance(failure, BaseException):
                    raise failure

    async def _start(self, kept: Delivery, start: Start) -> Start:
        """Start one run; what cannot be started ever is noted with the reason."""
        try:
            if start.given is not None:  # a webhook that answers a run: the event that it is for the run
                await self.operations.send_event(
                    kept.customer_id, start.run_id, str(start.given["event"]), kept.received
                )
                return settled(kept, start, RESUMED)
            plan = await self._plan(kept.customer_id, start)
            await self.starts.begin(plan, start.given, start.run_id, trigger=kept.received, trigger_type=kept.kind)
        except (ServerUnavailable, StoreUnavailable):
            raise
        except OrchestratorError as error:
            return settled(kept, start, FAILED, str(error))
        return settled(kept, start, STARTED)

    async def _plan(self, customer_id: str, start: Start) -> Plan:
        version = await self.workflows.definitions.version(customer_id, start.workflow_id, start.version)
        return await self.workflows.published(version)


def owed_to(rows: Iterable[TriggerRow]) -> tuple[Start, ...]:
    """Make the starts of what is subscribed, each with the id of its run."""
    return tuple(Start(row.workflow_id, row.version, str(uuid4())) for row in rows)


def matches(pattern: str, name: str) -> bool:
    """Tell whether an event's name fits: `order.*` any one part, `order.**` one part or more."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        if len(parts) < len(wanted):
            return False
        wanted, parts = wanted[:-1], parts[: len(wanted) - 1]
    return len(wanted) == len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


def _wants(row: TriggerRow, received: dict[str, Any]) -> bool:
    if not matches(row.event or "", received["name"]):
        return False
    condition = row.config.get("filter")
    return not condition or compile_condition(condition).evaluate(_seen(received))


def _seen(received: dict[str, Any]) -> Env:
    """Show a filter the event, by the names that templates of the run use, and its keys at top level."""
    return Env({**received, "trigger": received}, lambda: datetime.now(UTC), lambda: str(uuid4()))
