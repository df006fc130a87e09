"""Read histories in processes of their own: the work of a run is what its definition says, so it needs a limit."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestrator.errors import ServerUnavailable
from orchestrator.reruns.restart import Rerun
from orchestrator.service.process_pool import Busy, ProcessPool, TooCostly
from orchestrator.temporal.history.migration_preview import MigrationJob, MigrationPreview, preview_migration
from orchestrator.temporal.history.reader import FlowReading, read_flows
from orchestrator.temporal.history.rerun_histories import RerunJob, plan_rerun_from_histories

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
PROCESSES = 2
CPU_SECONDS = 20
"""14,000 events take less than one."""
ARCHIVE = "$archive"
"""In place of the customers of all runs that are archived."""


class HistoryProcesses:
    """A few processes that read histories."""

    def __init__(self) -> None:
        self.pool = ProcessPool(PROCESSES, CPU_SECONDS)

    async def read_flows(self, customer_id: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
        """Read histories of a customer; raises ServerUnavailable where that takes too long."""
        return await self._call(customer_id, read_flows, histories)

    async def plan_rerun(self, customer_id: str, job: RerunJob) -> Rerun | str:
        """Plan a rerun for a customer; raises ServerUnavailable where that takes too long."""
        return await self._call(customer_id, plan_rerun_from_histories, job)

    async def preview_migration(self, customer_id: str, job: MigrationJob) -> MigrationPreview:
        """Look at a move for a customer; raises ServerUnavailable where that takes too long."""
        return await self._call(customer_id, preview_migration, job)

    async def _call(self, customer_id: str, function: Callable[[JobT], ResultT], job: JobT) -> ResultT:
        try:
            return await self.pool.call(customer_id, function, job)
        except (Busy, TooCostly) as error:
            message = "the history of the run cannot be read in time"
            raise ServerUnavailable(message, hint="try again in a moment") from error

    async def read_for_archive(self, _: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
        """Read histories one after the other, so that those who look at runs have the other processes."""
        return await self.read_flows(ARCHIVE, histories)
