"""Events: written down with every run they owe, then those runs are started, however often that takes.

Once an event has been accepted, no crash loses a start and none is made twice: the ids of the runs are stored
before the first one starts.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.language import Env
from orchestrator.language.condition_reader import compile_condition
from orchestrator.model.plan import Plan
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts, record_outcome
from orchestrator.service.workflows import MAX_RECEIVED_BYTES, Workflows
from orchestrator.store.database import StoreUnavailable
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
from orchestrator.store.records import ACTIVE, TriggerRow
from orchestrator.temporal.payloads import measure_json

AT_ONCE = 32
"""Starts under way at a time, for one delivery."""
SETTLED_AT_ONCE = 100
ANSWER_SECONDS = 10.0
"""How long a sender waits for the starts; they go on after that."""
ASK_SECONDS = 0.05
REDRIVEN_AT_ONCE = 100
PAUSE = timedelta(minutes=5)
"""Before a delivery that met a fault of ours is tried again."""

logger = logging.getLogger(__name__)


class TooLarge(OrchestratorError):
    """What was sent is more than a run can begin with."""

    code = "too_large"


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
        require_acceptable_size(received)
        delivery = Delivery(
            id=str(uuid4()),
            customer_id=customer_id,
            kind="event",
            name=name,
            key=event_id,
            outcome=ACCEPTED,
            received=received,
            received_at=datetime.now(UTC),
            starts=await self._starts_for_event(customer_id, received),
        )
        delivery = await self.deliveries.accept(delivery, None if event_id is None else f"event:{event_id}")
        return await self.deliver(delivery)

    async def redrive(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Take in again what was delivered before, as news; raises DeliveryNotFound and OperationRefused."""
        old = await self.deliveries.get(customer_id, delivery_id)
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
            starts=await self._starts_to_redrive(old),
        )
        return await self.deliver(await self.deliveries.accept(again, None))

    async def _starts_to_redrive(self, old: Delivery) -> tuple[Start, ...]:
        """Say what a delivery would start now; raises OperationRefused."""
        if old.pending:
            raise OperationRefused("this delivery is still being worked on", hint="what it owes will be started")
        if old.kind == "event":
            return await self._starts_for_event(old.customer_id, old.received)
        if old.kind != "webhook" or old.outcome == REJECTED:
            raise OperationRefused(
                f"a delivery of kind {old.kind!r} that was {old.outcome} cannot be redriven",
                hint="what was refused must be sent again by whoever can sign it" if old.kind == "webhook" else None,
            )
        if old.starts and old.starts[0].given is not None:
            return tuple(replace(start, state=PENDING, reason=None, delivery_id="") for start in old.starts)
        row = await self.workflows.definitions.find_webhook(old.customer_id, old.name)
        if row is None or row.wanted != ACTIVE:
            raise OperationRefused(f"no active workflow is reached at {old.name!r} now")
        return starts_for([row])

    async def deliver(self, delivery: Delivery) -> Delivery:
        """Start what a delivery owes, and give it as it is then; what takes long goes on without the sender.

        A duplicate starts nothing: it waits for the one that won.
        """
        if not delivery.pending:
            return delivery
        work = (
            self._start_pending(delivery)
            if delivery.duplicate_of is None
            else self._wait_until_settled(delivery.duplicate_of)
        )
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._finish_task)
        # It has been accepted and is written down: whatever goes wrong now, what is missing is started later.
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        is_settled = task.done() and task.exception() is None
        return await self.deliveries.get(delivery.customer_id, delivery.id) if is_settled else delivery

    def _finish_task(self, task: "asyncio.Task[None]") -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("a delivery waits: %s", error, exc_info=error)

    async def _wait_until_settled(self, delivery_id: str) -> None:
        """Wait until a delivery owes nothing, or nobody waits any more."""
        for _ in range(round(ANSWER_SECONDS / ASK_SECONDS)):
            if not await self.deliveries.is_pending(delivery_id):
                return
            await asyncio.sleep(ASK_SECONDS)

    async def start_pending(self) -> None:
        """Start what deliveries still owe that a process has left behind; one that cannot go on stops no other."""
        for delivery_id in await self.deliveries.list_due(REDRIVEN_AT_ONCE):
            if not await self.deliveries.claim(delivery_id):
                continue
            try:
                await self._start_pending(await self.deliveries.get(None, delivery_id))
            except (ServerUnavailable, StoreUnavailable):
                raise
            except Exception:
                logger.exception("delivery %s waits: this attempt has failed", delivery_id)
                await self.deliveries.postpone(delivery_id, PAUSE)

    async def aclose(self) -> None:
        """Let starts under way come to their end."""
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _starts_for_event(self, customer_id: str, received: dict[str, Any]) -> tuple[Start, ...]:
        """Make the starts of what waits for an event; a filter that cannot be decided fails its own start alone."""
        found: list[Start] = []
        for row in await self.workflows.definitions.list_subscribers(customer_id):
            try:
                if _matches_trigger(row, received):
                    found += starts_for([row])
            except OrchestratorError as error:
                (start,) = starts_for([row])
                found.append(replace(start, state=FAILED, reason=f"the filter cannot be decided: {error}"))
        return tuple(found)

    async def _start_pending(self, delivery: Delivery) -> None:
        """Start what is pending; raises, with the rest still owed, what kept some of it from being started."""
        pending = [start for start in delivery.starts if start.state == PENDING]
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(start: Start) -> Start:
            async with slots:
                return await self._start(delivery, start)

        failures: list[BaseException] = []
        for at in range(0, len(pending), SETTLED_AT_ONCE):
            made = await asyncio.gather(*map(one, pending[at : at + SETTLED_AT_ONCE]), return_exceptions=True)
            await self.deliveries.settle([start for start in made if isinstance(start, Start)])
            failures += [each for each in made if isinstance(each, BaseException)]
            if any(isinstance(each, ServerUnavailable | StoreUnavailable) for each in failures):
                break  # nobody is there to start the rest, either
        if failures:
            raise failures[0]

    async def _start(self, delivery: Delivery, start: Start) -> Start:
        """Start one run; what cannot be started ever is noted with the reason."""
        try:
            if start.given is not None:  # a webhook that answers a run: the event that it is for the run
                await self.operations.send_event(
                    delivery.customer_id, start.run_id, str(start.given["event"]), delivery.received, key=delivery.id
                )
                return record_outcome(delivery, start, RESUMED)
            plan = await self._plan(delivery.customer_id, start)
            run = self.starts.runs.prepare(
                plan, run_id=start.run_id, trigger=delivery.received, trigger_type=delivery.kind
            )
            await self.starts.begin(run)
        except (ServerUnavailable, StoreUnavailable):
            raise
        except OrchestratorError as error:
            return record_outcome(delivery, start, FAILED, str(error))
        return record_outcome(delivery, start, STARTED)

    async def _plan(self, customer_id: str, start: Start) -> Plan:
        version = await self.workflows.definitions.get_version(customer_id, start.workflow_id, start.version)
        return await self.workflows.load_plan(version)


def require_acceptable_size(received: Any) -> None:
    """Raise TooLarge for what no run could begin with: accepted means started."""
    size = measure_json(received)
    if size > MAX_RECEIVED_BYTES:
        raise TooLarge(
            f"what was sent takes {size:,} bytes as JSON, more than {MAX_RECEIVED_BYTES:,}",
            hint="keep large data elsewhere and send a reference",
        )


def starts_for(rows: Iterable[TriggerRow]) -> tuple[Start, ...]:
    """Make the starts of what is subscribed, each with the id of its run."""
    return tuple(Start(row.workflow_id, row.version, str(uuid4())) for row in rows)


def matches_pattern(pattern: str, name: str) -> bool:
    """Tell whether an event's name fits: `order.*` any one part, `order.**` one part or more."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        if len(parts) < len(wanted):
            return False
        wanted, parts = wanted[:-1], parts[: len(wanted) - 1]
    return len(wanted) == len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


def _matches_trigger(row: TriggerRow, received: dict[str, Any]) -> bool:
    if not matches_pattern(row.event or "", received["name"]):
        return False
    condition = row.config.get("filter")
    return not condition or compile_condition(condition).evaluate(_build_filter_env(received))


def _build_filter_env(received: dict[str, Any]) -> Env:
    """Show a filter the event, by the names that templates of the run use, and its keys at top level."""
    return Env({**received, "trigger": received}, lambda: datetime.now(UTC), lambda: str(uuid4()))
