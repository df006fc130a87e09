"""Events and their deliveries: stored together with the runs that they start, then started until all have.

No crash loses a start of an accepted delivery, and none is made twice: the IDs of the runs are stored before the
first one starts.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.language import Env
from orchestrator.language.condition_reader import compile_condition
from orchestrator.service.plans import MAX_RECEIVED_BYTES, Plans
from orchestrator.service.process_pool import Busy, TooCostly
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.deliveries import FAILED, PENDING, REJECTED, RESUMED, STARTED, Deliveries, Delivery, Start
from orchestrator.store.records import ACTIVE, TriggerRow
from orchestrator.store.triggers import Triggers
from orchestrator.temporal.payloads import measure_json

CONCURRENT_STARTS = 32
"""Starts of one delivery in progress at a time."""
BATCH = 100
"""Starts that are settled in one transaction."""
RESPONSE_SECONDS = 10.0
"""How long a sender waits for the starts; they continue after that."""
POLL_SECONDS = 0.05
MAX_DUE = 100
RETRY_AFTER = timedelta(minutes=5)
"""Pause before the next attempt at a delivery that failed unexpectedly."""
UNAVAILABLE = (ServerUnavailable, StoreUnavailable, Busy)
"""Errors that pass: what could not start for one of them is still pending."""

logger = logging.getLogger(__name__)


class TooLarge(OrchestratorError):
    """The data is larger than a run can start with."""

    code = "too_large"


class Events:
    """The events and the deliveries of all customers."""

    def __init__(
        self, triggers: Triggers, plans: Plans, deliveries: Deliveries, starts: Starts, operations: Operations
    ) -> None:
        self.triggers = triggers
        self.plans = plans
        self.deliveries = deliveries
        self.starts = starts
        self.operations = operations
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, customer_id: str, name: str, data: Any, event_id: str | None = None) -> Delivery:
        """Accept an event and start every active workflow that is subscribed to it.

        Return the delivery; an event with an ID that has been used is a duplicate, with the runs of the first.
        Raises TooLarge.
        """
        received = {"id": event_id or str(uuid4()), "name": name, "data": data}
        require_acceptable_size(received)
        starts = await self._plan_event_starts(customer_id, received)
        delivery = Delivery.new("event", customer_id, name, received, key=event_id, starts=starts)
        slot = None if event_id is None else f"event:{event_id}"
        return await self.deliver(await self.deliveries.accept(delivery, slot))

    async def redrive(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Deliver again what was delivered before; raises DeliveryNotFound and OperationRefused."""
        old = await self.deliveries.get(customer_id, delivery_id)
        starts = await self._plan_redrive(old)
        again = Delivery.new(
            old.kind, old.customer_id, old.name, old.received, key=old.key, redrive_of=old.id, starts=starts
        )
        return await self.deliver(await self.deliveries.accept(again, None))

    async def get_delivery(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Return a delivery; raises DeliveryNotFound."""
        return await self.deliveries.get(customer_id, delivery_id)

    async def list_deliveries(
        self,
        customer_id: str | None,
        *,
        kind: str | None = None,
        outcome: str | None = None,
        after: Sequence[Any] = (),
        limit: int = 50,
    ) -> list[Delivery]:
        """List deliveries, the newest first; `after` is `(received_at, id)` of the last one on the page before."""
        return await self.deliveries.list_deliveries(customer_id, kind=kind, outcome=outcome, after=after, limit=limit)

    async def _plan_redrive(self, old: Delivery) -> tuple[Start, ...]:
        """Return what a delivery would start now; raises OperationRefused."""
        if old.pending:
            raise OperationRefused("this delivery still has pending starts", hint="wait until they have started")
        if old.kind == "event":
            return await self._plan_event_starts(old.customer_id, old.received)
        if old.kind != "webhook" or old.outcome == REJECTED:
            raise OperationRefused(
                f"a delivery of kind {old.kind!r} with the outcome {old.outcome!r} cannot be redriven",
                hint="a refused request has to be signed and sent again" if old.kind == "webhook" else None,
            )
        if old.starts and old.starts[0].input_data is not None:
            return tuple(replace(start, state=PENDING, reason=None) for start in old.starts)
        row = await self.triggers.find_webhook(old.customer_id, old.name)
        if row is None or row.wanted != ACTIVE:
            raise OperationRefused(f"no active workflow uses the webhook path {old.name!r}")
        return (start_for(row),)

    async def deliver(self, delivery: Delivery) -> Delivery:
        """Start the pending runs of a delivery, and return it as it is after RESPONSE_SECONDS at most.

        A duplicate starts nothing; it waits for the first delivery.
        """
        if not delivery.pending:
            return delivery
        work = (
            self._start_pending(delivery)
            if delivery.duplicate_of is None
            else self._wait_until_settled(delivery.duplicate_of)
        )
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish_task)
        # The delivery is stored: whatever fails from here on, its pending starts are started later.
        stop = asyncio.create_task(self.operations.stopping.wait())
        await asyncio.wait({task, stop}, timeout=RESPONSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done() or task.exception() is not None:
            return delivery
        try:
            return await self.deliveries.get(delivery.customer_id, delivery.id)
        except StoreUnavailable:  # a sender that gets an error sends again
            return delivery

    def _finish_task(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("a delivery has pending starts: %s", error, exc_info=error)

    async def _wait_until_settled(self, delivery_id: str) -> None:
        """Wait until a delivery has no pending starts, up to RESPONSE_SECONDS."""
        for _ in range(round(RESPONSE_SECONDS / POLL_SECONDS)):
            if not await self.deliveries.is_pending(delivery_id):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def start_pending(self) -> None:
        """Start what is pending in deliveries whose process has died; a failure of one does not stop the others."""
        for delivery_id in await self.deliveries.list_due(MAX_DUE):
            if not await self.deliveries.claim(delivery_id):
                continue
            try:
                await self._start_pending(await self.deliveries.get(None, delivery_id))
            except (ServerUnavailable, StoreUnavailable):
                raise
            except Busy as error:  # with requests of this customer: it is due again when the claim times out
                logger.warning("delivery %s has pending starts: %s", delivery_id, error)
            except Exception:
                logger.exception("cannot start the runs of delivery %s; retrying later", delivery_id)
                await self.deliveries.postpone(delivery_id, RETRY_AFTER)

    async def aclose(self) -> None:
        """Wait for the end of the starts in progress."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _plan_event_starts(self, customer_id: str, received: dict[str, Any]) -> tuple[Start, ...]:
        """Return a start for each subscriber of an event; a filter that fails makes its own start fail, no other.

        Raises Busy.
        """
        subscribers = await self.triggers.list_subscribers(customer_id)
        rows = [row for row in subscribers if matches_pattern(row.event or "", received["name"])]
        filters = {row.workflow_id: row.config["filter"] for row in rows if row.config.get("filter")}
        refused: dict[str, str | None] = {}
        if filters:
            try:
                refused = await self.plans.call(customer_id, evaluate_filters, filters, received)
            except TooCostly as error:
                refused = dict.fromkeys(filters, str(error))
        starts: list[Start] = []
        for row in rows:
            if row.workflow_id not in refused:
                starts.append(start_for(row))
            elif (reason := refused[row.workflow_id]) is not None:
                starts.append(replace(start_for(row), state=FAILED, reason=f"the trigger's filter failed: {reason}"))
        return tuple(starts)

    async def _start_pending(self, delivery: Delivery) -> None:
        """Start the pending runs of a delivery; raises, with the rest pending, where some could not be started yet."""
        pending = [start for start in delivery.starts if start.state == PENDING]
        slots = asyncio.Semaphore(CONCURRENT_STARTS)

        async def start_one(start: Start) -> Start:
            async with slots:
                return await self._start(delivery, start)

        failures: list[BaseException] = []
        for index in range(0, len(pending), BATCH):
            results = await asyncio.gather(*map(start_one, pending[index : index + BATCH]), return_exceptions=True)
            await self.deliveries.settle([each for each in results if isinstance(each, Start)])
            failures += [each for each in results if isinstance(each, BaseException)]
            if any(isinstance(each, UNAVAILABLE) for each in failures):
                break
        if failures:
            raise failures[0]

    async def _start(self, delivery: Delivery, start: Start) -> Start:
        """Start one run, and return the start with its outcome; what can never start has failed."""
        try:
            if start.input_data is not None:  # a webhook that resumes a run
                event = str(start.input_data["event"])
                await self.operations.send_event(
                    delivery.customer_id, start.run_id, event, delivery.received, key=delivery.id
                )
                return replace(start, state=RESUMED)
            version = await self.plans.definitions.get_version(delivery.customer_id, start.workflow_id, start.version)
            run = self.starts.runs.prepare(
                await self.plans.load(version),
                run_id=start.run_id,
                trigger=delivery.received,
                trigger_type=delivery.kind,
            )
            await self.starts.begin(run)
        except UNAVAILABLE:
            raise
        except OrchestratorError as error:
            return replace(start, state=FAILED, reason=str(error))
        return replace(start, state=STARTED)


def require_acceptable_size(received: Any) -> None:
    """Raise TooLarge for data that no run could start with: what is accepted must be able to start."""
    size = measure_json(received)
    if size > MAX_RECEIVED_BYTES:
        raise TooLarge(
            f"the data is {size:,} bytes as JSON; the limit is {MAX_RECEIVED_BYTES:,}",
            hint="store large data elsewhere and send a reference",
        )


def start_for(row: TriggerRow) -> Start:
    """Return the start of a workflow by its trigger, with the ID of the run."""
    return Start(row.workflow_id, row.version, str(uuid4()))


def matches_pattern(pattern: str, name: str) -> bool:
    """Return whether an event's name matches: `order.*` any one part, `order.**` one part or more."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        if len(parts) < len(wanted):
            return False
        wanted, parts = wanted[:-1], parts[: len(wanted) - 1]
    return len(wanted) == len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


def evaluate_filters(filters: Mapping[str, Any], received: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the subscribers that are not started: the reason by which a filter failed, or `None` where it is false."""
    env = _build_filter_env(received)
    refused: dict[str, str | None] = {}
    for name, condition in filters.items():
        try:
            if not compile_condition(condition).evaluate(env):
                refused[name] = None
        except OrchestratorError as error:
            refused[name] = str(error)
    return refused


def _build_filter_env(received: Mapping[str, Any]) -> Env:
    """Return what a filter sees: the event as `trigger`, as in the run's templates, and its keys at the top level."""
    return Env({**received, "trigger": received}, lambda: datetime.now(UTC), lambda: str(uuid4()))
