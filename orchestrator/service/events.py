"""Events and their deliveries: stored together with the runs that they start, then started until all have.

No crash loses a start of an accepted delivery, and none is made twice: the IDs of the runs are stored before the
first one starts.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.jsontools.suggestions import join_names
from orchestrator.service.addressed_events import Address, AddressedEvents
from orchestrator.service.plans import MAX_REQUEST_BYTES, Plans
from orchestrator.service.process_pool import Busy
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts, digest_content
from orchestrator.service.subscribers import Asked, Subscribers, start_for
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.deliveries import (
    FAILED,
    PAUSED,
    PENDING,
    REJECTED,
    RESUMED,
    STARTED,
    Deliveries,
    Delivery,
    Start,
)
from orchestrator.store.records import ACTIVE, TriggerRow
from orchestrator.store.triggers import Triggers
from orchestrator.temporal.payload_store.driver import get_max_payload_bytes
from orchestrator.temporal.payloads import measure_json

CONCURRENT_STARTS = 32
"""Starts of one delivery in progress at a time."""
BATCH = 100
"""Starts that are settled in one transaction."""
RESPONSE_SECONDS = 10.0
"""How long a sender waits for the starts; they continue after that."""
POLL_SECONDS = 0.05
MAX_DUE = 100
MAX_NAMED = 5
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
        self,
        triggers: Triggers,
        plans: Plans,
        deliveries: Deliveries,
        starts: Starts,
        operations: Operations,
        addressed: AddressedEvents,
    ) -> None:
        self.triggers = triggers
        self.plans = plans
        self.deliveries = deliveries
        self.starts = starts
        self.operations = operations
        self.addressed = addressed
        self.subscribers = Subscribers(triggers, plans)
        self._tasks: set[asyncio.Task[None]] = set()

    def require_acceptable_size(self, received: Any) -> None:
        """Raise TooLarge for data that no run could start with: what is accepted must be able to start."""
        size = measure_json(received)
        limit = get_max_payload_bytes(self.starts.runs.settings) - MAX_REQUEST_BYTES
        if size > limit:
            raise TooLarge(
                f"the data is {size:,} bytes as JSON; the limit is {limit:,}",
                hint="store large data elsewhere and send a reference",
            )

    async def accept(
        self, customer_id: str, name: str, data: Any, event_id: str | None = None, address: Address | None = None
    ) -> Delivery:
        """Accept an event, start every active workflow that is subscribed to it, and keep it for waiting runs.

        Return the delivery; an event with an ID that has been used is a duplicate, with the runs of the first.
        Raises TooLarge, OperationRefused where too many events are kept, and IdempotencyKeyReused where the first was
        another event.
        """
        received = {"id": event_id or str(uuid4()), "name": name, "data": data}
        self.require_acceptable_size(received)
        if address is not None:
            await self.addressed.require_space(customer_id)
        asked = await self.subscribers.ask_about_event(customer_id, received)
        delivery = Delivery.new(
            "event",
            customer_id,
            name,
            received,
            key=event_id,
            content=digest_content(
                {"name": name, "data": data} | ({} if address is None else {"address": asdict(address)})
            ),
            starts=asked.starts,
            asked=asked.answers,
            reason=asked.reason if address is None else None,
        )
        slot = None if event_id is None else f"event:{event_id}"
        accepted = await self.deliveries.accept(delivery, slot)
        if address is not None:
            # Also where it is sent again: a crash may have come between the two.
            first = accepted.duplicate_of
            await self.addressed.keep(
                accepted if first is None else await self.deliveries.get(customer_id, first), address
            )
        return await self.deliver(accepted)

    async def redrive(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Deliver again what was delivered before, or start what was paused; raises DeliveryNotFound, OperationRefused.

        What has waited for a paused workflow is started by its own delivery, and no second time.
        """
        old = await self.deliveries.get(customer_id, delivery_id)
        if any(start.state == PAUSED for start in old.starts):
            await self._release_delivery(old)
            return await self.deliver(await self.deliveries.get(customer_id, old.duplicate_of or delivery_id))
        asked = await self._plan_redrive(old)
        again = Delivery.new(
            old.kind,
            old.customer_id,
            old.name,
            old.received,
            key=old.key,
            redrive_of=old.id,
            starts=asked.starts,
            asked=asked.answers,
            reason=asked.reason,
        )
        return await self.deliver(await self.deliveries.accept(again, None))

    async def release_paused(
        self,
        customer_id: str | None,
        workflow_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Start what was received for a workflow while it was paused, in the background; return the number of starts.

        Raises WorkflowNotFound, and OperationRefused where the workflow is not active.
        """
        owner = customer_id or (await self.plans.definitions.get_head(None, workflow_id)).customer_id
        row = await self._require_active(owner, workflow_id)
        return await self.deliveries.release(owner, workflow_id, row.version, since=since, until=until)

    async def _release_delivery(self, delivery: Delivery) -> None:
        """Make the paused starts of active workflows pending; raises OperationRefused where there are none."""
        names = [start.workflow_id for start in delivery.starts if start.state == PAUSED]
        rows = [await self.triggers.get(delivery.customer_id, name) for name in names]
        active = [row for row in rows if row is not None and row.wanted == ACTIVE]
        if not active:
            raise OperationRefused(f"not active: {join_names(names[:MAX_NAMED])}", hint="activate the workflow first")
        for row in active:
            await self.deliveries.release(
                row.customer_id, row.workflow_id, row.version, delivery_id=delivery.duplicate_of or delivery.id
            )

    async def _require_active(self, customer_id: str, workflow_id: str) -> TriggerRow:
        """Return the trigger of an active workflow; raises WorkflowNotFound and OperationRefused."""
        await self.plans.definitions.get_head(customer_id, workflow_id)
        row = await self.triggers.get(customer_id, workflow_id)
        if row is None or row.wanted != ACTIVE:
            raise OperationRefused(f"workflow {workflow_id!r} is not active", hint="activate it first")
        return row

    async def get_delivery(self, customer_id: str | None, delivery_id: str) -> Delivery:
        """Return a delivery; raises DeliveryNotFound."""
        return await self.deliveries.get(customer_id, delivery_id)

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
        """List deliveries, the newest first; `after` is `(received_at, id)` of the last one on the page before."""
        return await self.deliveries.list_deliveries(
            customer_id, kind=kind, outcome=outcome, workflow_id=workflow_id, after=after, limit=limit
        )

    async def _plan_redrive(self, old: Delivery) -> Asked:
        """Return what a delivery would start now; raises OperationRefused."""
        if old.pending:
            raise OperationRefused("this delivery still has pending starts", hint="wait until they have started")
        if old.kind == "event":
            return await self.subscribers.ask_about_event(old.customer_id, old.received)
        if old.kind != "webhook" or old.outcome == REJECTED:
            raise OperationRefused(
                f"a delivery of kind {old.kind!r} with the outcome {old.outcome!r} cannot be redriven",
                hint="a refused request has to be signed and sent again" if old.kind == "webhook" else None,
            )
        if old.starts and old.starts[0].input_data is not None:
            return Asked(tuple(replace(start, state=PENDING, reason=None) for start in old.starts), [], None)
        row = await self.triggers.find_webhook(old.customer_id, old.name)
        if row is None or row.wanted != ACTIVE:
            raise OperationRefused(f"no active workflow uses the webhook path {old.name!r}")
        if not old.starts and row.config.get("resume"):
            raise OperationRefused("this webhook resumes runs: its request must be sent again")
        return await self.subscribers.ask_about_request(row, start_for(row), old.received)

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
                delivery_id=start.delivery_id,
                trigger=delivery.received,
                trigger_type=delivery.kind,
            )
            await self.starts.begin(run)
        except UNAVAILABLE:
            raise
        except OrchestratorError as error:
            return replace(start, state=FAILED, reason=str(error))
        return replace(start, state=STARTED)
