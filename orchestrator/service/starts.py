"""Start runs by hand: of a kept workflow or of a definition that comes along, once for each key."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check_input
from orchestrator.service.index_writer import Noting
from orchestrator.service.workflows import Workflows
from orchestrator.store.deliveries import ACCEPTED, PENDING, STARTED, Deliveries, Delivery, Start
from orchestrator.temporal.client.runs import Runs, Started

MANUAL = "manual"


class Starts:
    """Starts of all customers."""

    def __init__(self, runs: Runs, workflows: Workflows, deliveries: Deliveries, noting: Noting) -> None:
        self.runs = runs
        self.workflows = workflows
        self.deliveries = deliveries
        self.noting = noting

    async def workflow(
        self, customer: str | None, workflow_id: str, given: Any, *, version: int | None = None, key: str | None = None
    ) -> Started:
        """Start a kept workflow; under a key that has been used the first run is the answer.

        Without a customer any one's, if only one has it.
        Raises WorkflowNotFound, OperationRefused, and DefinitionInvalid with where the input does not fit.
        """
        customer_id = customer or (await self.workflows.definitions.head(None, workflow_id)).customer_id
        before = await self.before(customer_id, workflow_id, key)
        if before is not None:
            return before
        found = await self.workflows.startable(customer_id, workflow_id, version)
        fits(found.plan, given)
        if key is None:
            return await self.begin(found.plan, given)
        self.runs.require_room(found.plan, given)

        async def begin(first: Start, again: bool) -> Started:
            plan = found.plan
            if again and first.version:  # what was accepted then is what is started, whatever has been published since
                plan = (await self.workflows.startable(customer_id, workflow_id, first.version)).plan
            return await self.begin(plan, first.given, first.run_id)

        start = Start(workflow_id, found.version, str(uuid4()), given)
        return await self.once(customer_id, workflow_id, key, start, begin)

    async def definition(
        self, customer_id: str, definition: Mapping[str, Any], given: Any, *, key: str | None = None
    ) -> Started:
        """Start a definition that is not kept; raises DefinitionInvalid."""
        before = await self.before(customer_id, "", key)
        if before is not None:
            return before
        plan = await self.workflows.unkept(customer_id, definition)
        fits(plan, given)
        if key is None:
            return await self.begin(plan, given)
        self.runs.require_room(plan, given)

        async def begin(first: Start, again: bool) -> Started:
            return await self.begin(plan, first.given, first.run_id)

        return await self.once(customer_id, "", key, Start(plan.id, 0, str(uuid4()), given), begin)

    async def before(self, customer_id: str, place: str, key: str | None) -> Started | None:
        """Find the run of a key, whatever has become of its workflow since; `None` while it has still to start."""
        found = None if key is None else await self.deliveries.winner(customer_id, taken(place, key))
        if found is None or found.pending:
            return None
        return Started(found.starts[0].run_id, found.starts[0].workflow_id, customer_id, duplicate=True)

    async def begin(self, plan: Plan, given: Any, run_id: str | None = None, **how: Any) -> Started:
        """Start a plan and note the run for the index."""
        started = await self.runs.start(plan, given=given, run_id=run_id, **how)
        if not started.duplicate:
            self.noting.started(plan, started.id, how.get("trigger_type", MANUAL), how.get("retried_from"))
        return started

    async def once(
        self,
        customer_id: str,
        place: str,
        key: str,
        start: Start,
        begin: Callable[[Start, bool], Awaitable[Started]],
    ) -> Started:
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
        kept = await self.deliveries.accept(delivery, taken(place, key))
        first = kept.starts[0]
        if first.state != PENDING:
            return Started(first.run_id, first.workflow_id, customer_id, duplicate=True)
        again = kept.id != delivery.id
        started = await begin(first, again)
        await self.deliveries.settle([settled(kept, first, STARTED)])
        return Started(started.id, started.workflow_id, customer_id, duplicate=again or started.duplicate)


def taken(place: str, key: str) -> str:
    """Name what a key is for: a start of this workflow, or a retry of this run."""
    return f"start:{place}:{key}"


def fits(plan: Plan, given: Any) -> None:
    """Raise DefinitionInvalid with where an input does not fit, as pointers into the request."""
    problems = check_input(plan, given)
    if problems:
        raise DefinitionInvalid(
            [Problem(each.severity, each.code, f"/input{each.path}", each.message, each.hint) for each in problems]
        )


def settled(kept: Delivery, start: Start, state: str, reason: str | None = None) -> Start:
    """Give a start with what became of it."""
    owner = start.delivery_id or kept.id
    return Start(start.workflow_id, start.version, start.run_id, start.given, state, reason, owner, start.customer_id)
