"""Start runs by hand: of a stored workflow or of a definition that comes along, once for each key."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check_input
from orchestrator.service.index_writer import IndexWriter
from orchestrator.service.workflows import Workflows
from orchestrator.store.deliveries import ACCEPTED, PENDING, STARTED, Deliveries, Delivery, Start
from orchestrator.temporal.client.runs import Runs, StartedRun

MANUAL = "manual"


class Starts:
    """Starts of all customers."""

    def __init__(self, runs: Runs, workflows: Workflows, deliveries: Deliveries, index_writer: IndexWriter) -> None:
        self.runs = runs
        self.workflows = workflows
        self.deliveries = deliveries
        self.index_writer = index_writer

    async def start_workflow(
        self,
        customer: str | None,
        workflow_id: str,
        run_input: Any,
        *,
        version: int | None = None,
        key: str | None = None,
    ) -> StartedRun:
        """Start a stored workflow; under a key that has been used the first run is the answer.

        Without a customer any one's, if only one has it.
        Raises WorkflowNotFound, OperationRefused, and DefinitionInvalid with where the input does not fit.
        """
        customer_id = customer or (await self.workflows.definitions.get_head(None, workflow_id)).customer_id
        earlier = await self.find_earlier(customer_id, workflow_id, key)
        if earlier is not None:
            return earlier
        to_start = await self.workflows.plan_to_start(customer_id, workflow_id, version)
        require_valid_input(to_start.plan, run_input)
        if key is None:
            return await self.begin(to_start.plan, run_input)
        self.runs.require_within_limit(to_start.plan, run_input)

        async def begin(first: Start, is_duplicate: bool) -> StartedRun:
            plan = to_start.plan
            if (
                is_duplicate and first.version
            ):  # what was accepted then is what is started, whatever has been published since
                plan = (await self.workflows.plan_to_start(customer_id, workflow_id, first.version)).plan
            return await self.begin(plan, first.given, first.run_id)

        start = Start(workflow_id, to_start.version, str(uuid4()), run_input)
        return await self.start_once(customer_id, workflow_id, key, start, begin)

    async def start_definition(
        self, customer_id: str, definition: Mapping[str, Any], run_input: Any, *, key: str | None = None
    ) -> StartedRun:
        """Start a definition that is not stored; raises DefinitionInvalid."""
        earlier = await self.find_earlier(customer_id, "", key)
        if earlier is not None:
            return earlier
        plan = await self.workflows.plan_unsaved(customer_id, definition)
        require_valid_input(plan, run_input)
        if key is None:
            return await self.begin(plan, run_input)
        self.runs.require_within_limit(plan, run_input)

        async def begin(first: Start, is_duplicate: bool) -> StartedRun:
            return await self.begin(plan, first.given, first.run_id)

        return await self.start_once(customer_id, "", key, Start(plan.id, 0, str(uuid4()), run_input), begin)

    async def find_earlier(self, customer_id: str, target: str, key: str | None) -> StartedRun | None:
        """Find the run of a key, whatever has become of its workflow since; `None` while it has still to start."""
        stored = None if key is None else await self.deliveries.find_by_slot(customer_id, idempotency_slot(target, key))
        if stored is None or stored.pending:
            return None
        return StartedRun(stored.starts[0].run_id, stored.starts[0].workflow_id, customer_id, duplicate=True)

    async def begin(self, plan: Plan, run_input: Any, run_id: str | None = None, **how: Any) -> StartedRun:
        """Start a plan and note the run for the index."""
        started = await self.runs.start(plan, input_data=run_input, run_id=run_id, **how)
        if not started.duplicate:
            self.index_writer.add_start(plan, started.id, how.get("trigger_type", MANUAL), how.get("retried_from"))
        return started

    async def start_once(
        self,
        customer_id: str,
        target: str,
        key: str,
        start: Start,
        begin: Callable[[Start, bool], Awaitable[StartedRun]],
    ) -> StartedRun:
        """Keep the run's id under the key before anything starts: who sends it again meets this very run.

        `begin` gets the start that was accepted first, and whether that was another request's.
        """
        delivery = Delivery(
            id=str(uuid4()),
            customer_id=customer_id,
            kind="start",
            name=start.workflow_id,
            key=key,
            outcome=ACCEPTED,
            received={"type": MANUAL},
            received_at=datetime.now(UTC),
            starts=(start,),
        )
        stored = await self.deliveries.accept(delivery, idempotency_slot(target, key))
        first = stored.starts[0]
        if first.state != PENDING:
            return StartedRun(first.run_id, first.workflow_id, customer_id, duplicate=True)
        is_duplicate = stored.id != delivery.id
        started = await begin(first, is_duplicate)
        await self.deliveries.settle([record_outcome(stored, first, STARTED)])
        return StartedRun(started.id, started.workflow_id, customer_id, duplicate=is_duplicate or started.duplicate)


def idempotency_slot(target: str, key: str) -> str:
    """Name what a key is for: a start of this workflow, or a retry of this run."""
    return f"start:{target}:{key}"


def require_valid_input(plan: Plan, run_input: Any) -> None:
    """Raise DefinitionInvalid with where an input does not fit, as pointers into the request."""
    problems = check_input(plan, run_input)
    if problems:
        raise DefinitionInvalid(
            [Problem(each.severity, each.code, f"/input{each.path}", each.message, each.hint) for each in problems]
        )


def record_outcome(stored: Delivery, start: Start, state: str, reason: str | None = None) -> Start:
    """Give a start with what became of it."""
    owner = start.delivery_id or stored.id
    return Start(start.workflow_id, start.version, start.run_id, start.given, state, reason, owner, start.customer_id)
