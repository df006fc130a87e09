"""Rerun a run that has ended from one of its steps: a new run that is linked to the old one."""

from dataclasses import asdict, dataclass

from orchestrator.errors import OrchestratorError, RunNotFound
from orchestrator.model.plan import Plan
from orchestrator.model.run_ids import draw_run_id
from orchestrator.reruns.preview import RerunPlan, describe_rerun
from orchestrator.reruns.restart import Changes, Rerun
from orchestrator.service.plans import Plans
from orchestrator.service.runs import Operations
from orchestrator.service.starts import RecordStart, Starts, record_nothing
from orchestrator.store.deliveries import Start
from orchestrator.temporal.client.runs import PreparedRun, Runs, StartedRun


class HistoryGone(OrchestratorError):
    """The history of the run is no longer stored."""

    code = "history_gone"


class Reruns:
    """The reruns of all customers."""

    def __init__(self, runs: Runs, plans: Plans, starts: Starts, operations: Operations) -> None:
        self.runs = runs
        self.plans = plans
        self.starts = starts
        self.operations = operations

    async def plan(
        self, customer_id: str | None, run_id: str, changes: Changes, version: int | None = None
    ) -> RerunPlan:
        """Plan a rerun; raises RunNotFound, OperationRefused, WorkflowNotFound, DefinitionInvalid and HistoryGone."""
        old = await self._load_ended_run(customer_id, run_id)
        rerun = await self._plan_rerun(old, changes, version, draw_run_id(old.workflow_id))
        return describe_rerun(await self.operations.get_document(customer_id, run_id), rerun)

    async def start(
        self,
        customer_id: str | None,
        run_id: str,
        changes: Changes,
        *,
        version: int | None = None,
        key: str | None = None,
        record: RecordStart = record_nothing,
    ) -> StartedRun:
        """Start the new run, once for each idempotency key; raises as `plan` does."""
        old = await self._load_ended_run(customer_id, run_id)

        async def prepare(accepted: Start | None) -> PreparedRun:
            new_id = accepted.run_id if accepted else draw_run_id(old.workflow_id)
            rerun = await self._plan_rerun(old, changes, version, new_id)
            return self.runs.prepare_rerun(rerun, delivery_id=accepted.delivery_id if accepted else None)

        content = {"version": version, "changes": asdict(changes)}
        return await self.starts.start_once(old.customer_id, f"rerun:{run_id}", key, content, prepare, record)

    async def _load_ended_run(self, customer_id: str | None, run_id: str) -> "_OldRun":
        try:
            await self.operations.require(customer_id, run_id)
            summary = await self.runs.visibility.read_summary(run_id)
        except RunNotFound:
            if await self.operations.is_recorded(customer_id, run_id):
                raise HistoryGone(
                    f"the history of run {run_id} is no longer stored, so it cannot continue from a step",
                    hint="start the workflow again, with the input that the run document still has",
                ) from None
            raise
        await self.runs.reader.reruns.require_ended(run_id)
        return _OldRun(run_id, summary.workflow_id, summary.customer_id, summary.workflow_version)

    async def _plan_rerun(self, old: "_OldRun", changes: Changes, version: int | None, new_id: str) -> Rerun:
        plan: Plan | None = None
        if version is not None and version != old.version:
            plan = (await self.plans.load_to_start(old.customer_id, old.workflow_id, version)).plan
        rerun = await self.runs.reader.reruns.plan(old.customer_id, old.run_id, changes, new_id, plan)
        run_input = rerun.request["state"]["context"]["input"]
        if changes.run_input is not None or (plan is not None and run_input is not None):
            await self.plans.require_valid_input(rerun.plan, run_input)
        return rerun


@dataclass(frozen=True, slots=True)
class _OldRun:
    run_id: str
    workflow_id: str
    customer_id: str
    version: int
