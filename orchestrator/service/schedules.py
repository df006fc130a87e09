"""Fire times, manual triggers and backfills of scheduled workflows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

from orchestrator.errors import OperationRefused
from orchestrator.model.definition import Definition, Trigger
from orchestrator.model.run import format_timestamp
from orchestrator.service.starts import RecordStart, Starts, record_nothing
from orchestrator.store.database import Database
from orchestrator.store.leases import Leases
from orchestrator.store.records import PAUSED, REMOVED
from orchestrator.store.run_index import RunIndex
from orchestrator.store.triggers import Triggers
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.client.runs import StartedRun
from orchestrator.temporal.schedules.backfill import Backfill
from orchestrator.temporal.schedules.schedules import TRIGGER_TYPE, Schedules, build_schedule_id
from orchestrator.timing.schedule import list_fire_times

BACKFILL_SECONDS = 60.0
"""Lease on a backfill, which is renewed while it lasts."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class FireTimes:
    """The next fire times of a workflow."""

    installed: bool
    """The schedule exists in Temporal; otherwise the times are what activation would install."""
    paused: bool
    times: tuple[datetime, ...]


class WorkflowSchedules:
    """The schedules of all customers. `None` as the customer means any, where only one has the workflow.

    Operations raise WorkflowNotFound, and OperationRefused for a workflow without a schedule.
    """

    def __init__(
        self, definitions: Definitions, index: RunIndex, schedules: Schedules, starts: Starts, database: Database
    ) -> None:
        self.definitions = definitions
        self.index = index
        self.schedules = schedules
        self.starts = starts
        self.database = database
        self.triggers = Triggers(database)

    async def list_next_times(
        self, customer_id: str | None, workflow_id: str, count: int, after: datetime | None = None
    ) -> FireTimes:
        """Return the next fire times: those of Temporal, or those that activation would install."""
        stored = await self.definitions.get(customer_id, workflow_id)
        row = await self.triggers.get(stored.customer_id, workflow_id)
        if row is not None and row.kind == "schedule" and row.wanted != REMOVED and row.applied == row.revision:
            try:
                times = await self.schedules.list_next_times(stored.customer_id, workflow_id, count)
            except OperationRefused:  # the schedule was deleted in Temporal; the reconciler installs it again
                await self.triggers.mark_stale(stored.customer_id, workflow_id)
            else:
                return FireTimes(True, row.wanted == PAUSED, tuple(times))
        trigger = Definition.model_validate(stored.definition).trigger
        if trigger.type != "schedule":
            raise OperationRefused(
                f"workflow {workflow_id!r} has no schedule: its trigger is of type {trigger.type or 'manual'!r}"
            )
        return FireTimes(False, False, tuple(list_fire_times(trigger, after or datetime.now(UTC), count)))

    async def trigger(
        self, customer_id: str | None, workflow_id: str, record: RecordStart = record_nothing
    ) -> StartedRun:
        """Start a run now, as if the schedule had fired, even while it is paused.

        Temporal's own trigger starts only one run in a second, and does not name it.
        """
        owner = (await self.definitions.get(customer_id, workflow_id)).customer_id
        row = await self.triggers.get(owner, workflow_id)
        if row is None or row.kind != TRIGGER_TYPE or row.wanted == REMOVED:
            raise OperationRefused(
                f"workflow {workflow_id!r} has no schedule", hint="activate it with a trigger of type schedule"
            )
        version = await self.definitions.get_version(owner, workflow_id, row.version)
        config = Definition.model_validate(version.definition).trigger.config
        run = self.starts.runs.prepare(
            await self.starts.plans.load(version),
            input_data=config.get("input"),
            trigger={"type": TRIGGER_TYPE},
            trigger_type=TRIGGER_TYPE,
        )
        return await self.starts.begin(run, record)

    async def backfill(self, customer_id: str | None, workflow_id: str, start_at: datetime, end_at: datetime) -> int:
        """Start the runs of all fire times in a range, both ends included, and return their number.

        Raises OperationRefused as Backfill.start does, and while another backfill is being requested.
        """
        owner = (await self.definitions.get(customer_id, workflow_id)).customer_id
        started = 0

        async def backfill() -> None:
            nonlocal started
            started = await self._backfill(owner, workflow_id, start_at, end_at)

        # Two concurrent backfills would find the same times not yet started.
        leases = Leases(self.database, str(uuid4()))
        name = f"backfill:{sha256(build_schedule_id(owner, workflow_id).encode()).hexdigest()}"
        try:
            held = await leases.run_while_held(name, BACKFILL_SECONDS, backfill)
        finally:
            await leases.release(name)
        if not held:
            raise OperationRefused("another backfill of this workflow is being requested", hint="try again in a moment")
        return started

    async def _backfill(self, customer_id: str, workflow_id: str, start_at: datetime, end_at: datetime) -> int:
        backfill = Backfill(self.schedules)
        prefix = await backfill.find_run_prefix(customer_id, workflow_id)
        trigger = await self._get_trigger(customer_id, workflow_id)

        def is_time(time: datetime) -> bool:
            return list_fire_times(trigger, time - SECOND, 1) == [time]

        async def list_done(first: datetime, last: datetime) -> list[datetime]:
            # Temporal forgets runs after its retention, so that only the index knows all of them.
            bounds = [f"{prefix}{format_timestamp(time.replace(microsecond=0))}" for time in (first, last)]
            run_ids = await self.index.list_ids_between(customer_id, *bounds)
            times = [datetime.fromisoformat(run_id.removeprefix(prefix)) for run_id in run_ids]
            return [time for time in times if time >= start_at]

        return await backfill.start(customer_id, workflow_id, start_at, end_at, list_done=list_done, is_time=is_time)

    async def _get_trigger(self, customer_id: str, workflow_id: str) -> Trigger:
        """Return the installed trigger, or that of the working copy."""
        row = await self.triggers.get(customer_id, workflow_id)
        if row is None:
            return Definition.model_validate((await self.definitions.get(customer_id, workflow_id)).definition).trigger
        version = await self.definitions.get_version(customer_id, workflow_id, row.version)
        return Definition.model_validate(version.definition).trigger
