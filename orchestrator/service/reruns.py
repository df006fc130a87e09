"""Try a run again from one of its nodes: a new run, linked with the old one."""

from datetime import UTC, datetime
from uuid import uuid4

from orchestrator.interpreter.restart import Changes, EndedRun, Retry, retried
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts, fits
from orchestrator.service.workflows import Workflows
from orchestrator.store.deliveries import Start
from orchestrator.temporal.client.runs import Runs, Started


class Retries:
    """Retries of all customers."""

    def __init__(self, runs: Runs, workflows: Workflows, starts: Starts, operations: Operations) -> None:
        self.runs = runs
        self.workflows = workflows
        self.starts = starts
        self.operations = operations

    async def plan(self, customer_id: str | None, run_id: str, changes: Changes, version: int | None = None) -> Retry:
        """Say what a retry would do; raises RunNotFound, OperationRefused, WorkflowNotFound and DefinitionInvalid."""
        return await self._made(await self._old(customer_id, run_id), changes, version, str(uuid4()))

    async def start(
        self,
        customer_id: str | None,
        run_id: str,
        changes: Changes,
        *,
        version: int | None = None,
        key: str | None = None,
    ) -> Started:
        """Start the new run, once for each key; raises as `plan` does."""
        old = await self._old(customer_id, run_id)
        before = await self.starts.before(old.info.customer_id, f"retry:{run_id}", key)
        if before is not None:
            return before
        made = await self._made(old, changes, version, str(uuid4()))
        if key is None:
            return await self._begin(made)

        async def begin(first: Start, again: bool) -> Started:
            return await self._begin(await self._made(old, changes, version, first.run_id) if again else made)

        start = Start(made.plan.id, made.plan.version, made.info.id)
        return await self.starts.once(old.info.customer_id, f"retry:{run_id}", key, start, begin)

    async def _old(self, customer_id: str | None, run_id: str) -> EndedRun:
        await self.operations.require(customer_id, run_id)
        return await self.runs.ended_run(run_id)

    async def _made(self, old: EndedRun, changes: Changes, version: int | None, run_id: str) -> Retry:
        plan = old.plan
        if version is not None and version != plan.version:
            plan = (await self.workflows.startable(old.info.customer_id, plan.id, version)).plan
        made = retried(old, plan, changes, run_id, datetime.now(UTC))
        given = made.state["context"]["input"]
        if changes.given is not None or (plan is not old.plan and given is not None):
            fits(plan, given)
        return made

    async def _begin(self, made: Retry) -> Started:
        return await self.starts.begin(
            made.plan,
            None,
            made.info.id,
            state=made.state,
            trigger_type=made.info.trigger_type,
            retried_from=made.info.retried_from,
            attempt=made.info.attempt,
        )
