"""Start runs on request, of a stored workflow or of a definition that is sent along, once for each idempotency key."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from orchestrator.errors import RunNotFound
from orchestrator.model.plan import Plan
from orchestrator.service.index_writer import IndexWriter
from orchestrator.service.plans import Plans
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.deliveries import DUPLICATE, PENDING, STARTED, Deliveries, Delivery, Start
from orchestrator.temporal.client.runs import PreparedRun, Runs, StartedRun

logger = logging.getLogger(__name__)
MANUAL = "manual"
RecordStart = Callable[[PreparedRun], None]
"""Called right before a run starts, to record it meanwhile."""


def record_nothing(_: PreparedRun) -> None:
    """Record no start: the caller does it."""


class Starts:
    """The starts of all customers."""

    def __init__(self, runs: Runs, plans: Plans, deliveries: Deliveries, index_writer: IndexWriter) -> None:
        self.runs = runs
        self.plans = plans
        self.deliveries = deliveries
        self.index_writer = index_writer

    async def start_workflow(
        self,
        customer_id: str | None,
        workflow_id: str,
        run_input: Any,
        *,
        version: int | None = None,
        key: str | None = None,
        record: RecordStart = record_nothing,
    ) -> StartedRun:
        """Start a stored workflow; `None` as the customer means any, where only one has the workflow.

        Raises WorkflowNotFound, OperationRefused, and DefinitionInvalid where the input is not valid.
        """
        owner = customer_id or (await self.plans.definitions.get_head(None, workflow_id)).customer_id

        async def prepare(accepted: Start | None) -> PreparedRun:
            # The version that was accepted starts, even if a newer one has been published in the meantime.
            chosen = (accepted.version if accepted else 0) or version
            plan = (await self.plans.load_to_start(owner, workflow_id, chosen)).plan
            return await self._prepare(plan, run_input, accepted)

        content = {"version": version, "input": run_input}
        return await self.start_once(owner, workflow_id, key, content, prepare, record)

    async def start_definition(
        self,
        customer_id: str,
        definition: Mapping[str, Any],
        run_input: Any,
        *,
        callees: Sequence[Mapping[str, Any]] = (),
        key: str | None = None,
        record: RecordStart = record_nothing,
    ) -> StartedRun:
        """Start a definition that is not stored; `callees` replace stored ones. Raises DefinitionInvalid."""

        async def prepare(accepted: Start | None) -> PreparedRun:
            plan = await self.plans.make_unsaved(customer_id, definition, callees)
            return await self._prepare(plan, run_input, accepted)

        content = {"definition": definition, "input": run_input, "callees": callees}
        return await self.start_once(customer_id, "", key, content, prepare, record)

    async def _prepare(self, plan: Plan, run_input: Any, accepted: Start | None) -> PreparedRun:
        if accepted is not None:
            return self.runs.prepare(
                plan,
                input_data=accepted.input_data,
                run_id=accepted.run_id,
                delivery_id=accepted.delivery_id,
            )
        await self.plans.require_valid_input(plan, run_input)
        return self.runs.prepare(plan, input_data=run_input)

    async def start_once(
        self,
        customer_id: str,
        target: str,
        key: str | None,
        content: Any,
        prepare: Callable[[Start | None], Awaitable[PreparedRun]],
        record: RecordStart = record_nothing,
    ) -> StartedRun:
        """Start the run that `prepare` returns, once for each key: the first run answers later requests.

        The id of the run is stored under the key before the run starts, so that a request sent again after a crash
        meets this very run. `prepare` gets the start that another request has stored under the key, if any. Raises
        IdempotencyKeyReused where the content of that request, by its digest, was another.
        """
        if key is None:
            return await self.begin(await prepare(None), record)
        slot, digest = idempotency_slot(target, key), digest_content(content)
        earlier = await self.deliveries.find_by_slot(customer_id, slot)
        if earlier is not None:
            earlier.require_content(digest)
        if earlier is not None and (not earlier.pending or await self._has_started(earlier.starts[0])):
            return _describe_duplicate(earlier)
        run = await prepare(None)
        stored = await self.deliveries.accept(_build_delivery(customer_id, key, digest, run), slot)
        first = stored.starts[0]
        if first.state != PENDING:
            return _describe_duplicate(stored)
        is_duplicate = stored.outcome == DUPLICATE
        mine = replace(run, delivery_id=stored.id, is_new=False)
        started = await self.begin(await prepare(first) if is_duplicate else mine, record)
        try:
            await self.deliveries.settle([replace(first, state=STARTED)])
        except StoreUnavailable as error:  # the run has started, and a repeated request meets it
            logger.warning("the start of run %s is not recorded: %s", first.run_id, error)
        return replace(started, duplicate=is_duplicate or started.duplicate)

    async def _has_started(self, start: Start) -> bool:
        """Return whether a start that is recorded as pending has been made: its workflow may be archived by now."""
        try:
            await self.runs.visibility.read_summary(start.run_id)
        except RunNotFound:
            return False
        return True

    async def begin(self, run: PreparedRun, record: RecordStart = record_nothing) -> StartedRun:
        """Start a run and add it to the index; raises OperationRefused where it may not use a task queue."""
        self.plans.permissions.require_task_queues(run.plan)
        record(run)
        started = await self.runs.start(run)
        if not started.duplicate:
            self.index_writer.add_start(run.plan, run.info)
        return started


def digest_content(content: Any) -> str:
    """Return the digest of what is sent with an idempotency key; the order of the keys of objects does not matter."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _build_delivery(customer_id: str, key: str, digest: str, run: PreparedRun) -> Delivery:
    start = Start(run.plan.id, run.plan.version, run.info.id, run.input_data)
    return Delivery.new(
        "start", customer_id, start.workflow_id, {"type": MANUAL}, key=key, content=digest, starts=(start,)
    )


def _describe_duplicate(delivery: Delivery) -> StartedRun:
    first = delivery.starts[0]
    return StartedRun(first.run_id, first.workflow_id, delivery.customer_id, duplicate=True)


def idempotency_slot(target: str, key: str) -> str:
    """Return the slot that a key occupies, within the starts of a workflow or the reruns of a run."""
    return f"start:{target}:{key}"
