"""Rerun a run that has ended from one of its nodes: a new run that is linked to the old one."""

from dataclasses import asdict
from datetime import UTC, datetime

from orchestrator.interpreter.restart import Changes, EndedRun, Rerun, plan_rerun
from orchestrator.model.run_ids import draw_run_id
from orchestrator.service.plans import Plans
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts, digest_content
from orchestrator.store.deliveries import Start
from orchestrator.temporal.client.runs import PreparedRun, Runs, StartedRun


class Reruns:
    """The reruns of all customers."""

    def __init__(self, runs: Runs, plans: Plans, starts: Starts, operations: Operations) -> None:
        self.runs = runs
        self.plans = plans
        self.starts = starts
        self.operations = operations

    async def plan(self, customer_id: str | None, run_id: str, changes: Changes, version: int | None = None) -> Rerun:
        """Plan a rerun; raises RunNotFound, OperationRefused, WorkflowNotFound and DefinitionInvalid."""
        old = await self._load_ended_run(customer_id, run_id)
        return await self._plan_rerun(old, changes, version, draw_run_id(old.plan.id))

    async def start(
        self,
        customer_id: str | None,
        run_id: str,
        changes: Changes,
        *,
        version: int | None = None,
        key: str | None = None,
    ) -> StartedRun:
        """Start the new run, once for each idempotency key; raises as `plan` does."""
        old = await self._load_ended_run(customer_id, run_id)

        async def prepare(accepted: Start | None) -> PreparedRun:
            new_id = accepted.run_id if accepted else draw_run_id(old.plan.id)
            rerun = await self._plan_rerun(old, changes, version, new_id)
            return self.runs.prepare(
                rerun.plan,
                run_id=new_id,
                delivery_id=accepted.delivery_id if accepted else None,
                state=rerun.state,
                trigger_type=rerun.info.trigger_type,
                rerun_of=rerun.info.rerun_of,
                attempt=rerun.info.attempt,
            )

        content = digest_content({"version": version, "changes": asdict(changes)})
        return await self.starts.start_once(old.info.customer_id, f"rerun:{run_id}", key, content, prepare)

    async def _load_ended_run(self, customer_id: str | None, run_id: str) -> EndedRun:
        await self.operations.require(customer_id, run_id)
        return await self.runs.reader.read_ended_run(run_id)

    async def _plan_rerun(self, old: EndedRun, changes: Changes, version: int | None, run_id: str) -> Rerun:
        plan = old.plan
        if version is not None and version != plan.version:
            plan = (await self.plans.load_to_start(old.info.customer_id, plan.id, version)).plan
        rerun = plan_rerun(old, plan, changes, run_id, datetime.now(UTC))
        run_input = rerun.state["context"]["input"]
        if changes.run_input is not None or (plan is not old.plan and run_input is not None):
            await self.plans.require_valid_input(plan, run_input)
        return rerun
