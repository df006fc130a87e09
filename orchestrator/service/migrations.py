"""Move a run in progress to another version of its workflow."""

from collections.abc import Mapping

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.model.run import Intervention
from orchestrator.service.plans import Plans
from orchestrator.service.runs import Operations
from orchestrator.temporal.history.migration_preview import MigrationPreview


class VersionReached(OperationRefused):
    """The run is of that version already."""


class Migrations:
    """The moves of all customers' runs. They raise RunNotFound, WorkflowNotFound and OperationRefused."""

    def __init__(self, plans: Plans, operations: Operations) -> None:
        self.plans = plans
        self.operations = operations
        self.runs = operations.runs

    async def preview(
        self, customer_id: str | None, run_id: str, version: int, renamed: Mapping[str, str]
    ) -> MigrationPreview:
        """Say what a move would do to a run as it is now, without touching it; no worker is needed."""
        async with self.operations.open_operation(customer_id, run_id):
            owner, request = await self._read(run_id, version, renamed)
            return await self.runs.reader.migrations.preview(owner, run_id, request)

    async def start(
        self,
        customer_id: str | None,
        run_id: str,
        version: int,
        renamed: Mapping[str, str],
        *,
        reason: str = "",
        by: str = "",
    ) -> Intervention:
        """Have a run move at its next node boundary; return what it records of it.

        Raises ServerUnavailable where no worker answers: then it does not move later either.
        """
        async with self.operations.open_operation(customer_id, run_id):
            _, request = await self._read(run_id, version, renamed)
            return Intervention.model_validate(await self.runs.migrate(run_id, request, reason, by=by))

    async def _read(self, run_id: str, version: int, renamed: Mapping[str, str]) -> tuple[str, MigrationRequest]:
        """Return the customer of the run, and what to ask it for."""
        summary = await self.runs.visibility.read_summary(run_id)
        if summary.completed_at is not None:
            raise OperationRefused(
                f"run {run_id} has already ended ({summary.status})", hint="rerun it on the other version"
            )
        if summary.workflow_version == version:
            raise VersionReached(f"run {run_id} is of version {version} already")
        plan = (await self.plans.load_to_start(summary.customer_id, summary.workflow_id, version)).plan
        return summary.customer_id, MigrationRequest(plan, dict(renamed))
