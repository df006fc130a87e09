"""Make Temporal's schedules what the store says they should be: at once, and again after any crash."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

from orchestrator.errors import OperationRefused, ServerUnavailable
from orchestrator.model.definition import Definition, Trigger
from orchestrator.model.run import format_timestamp
from orchestrator.service.background import run_every
from orchestrator.service.schedules import BACKFILL_SECONDS, SECOND, Times
from orchestrator.service.workflows import Workflows
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.leases import Leases
from orchestrator.store.records import PAUSED, REMOVED, TriggerRow
from orchestrator.temporal.schedules.backfill import Backfill
from orchestrator.temporal.schedules.schedules import InstalledSchedule, Schedules, build_schedule_id
from orchestrator.timing.schedule import list_fire_times

logger = logging.getLogger(__name__)
LEASE = "reconciler"
EVERY_SECONDS = 5.0
COMPARE_EVERY = timedelta(minutes=5)
"""How often everything is compared: somebody may have changed a schedule by hand."""
ROUNDS = 5
"""Others may change what is wanted while it is being installed: that often it is done again."""


class Reconciler:
    """The schedules of all customers, as they should be and as they are."""

    def __init__(self, workflows: Workflows, schedules: Schedules, leases: Leases) -> None:
        self.workflows = workflows
        self.definitions = workflows.definitions
        self.schedules = schedules
        self.leases = leases
        self._compared: datetime | None = None

    async def settle(self, customer_id: str, workflow_id: str, *, reinstall: bool = False) -> None:
        """Install, suspend or remove the schedule of one workflow, where there is something to do, or `anew`.

        A Temporal that does not answer is no failure: what is wanted is written down, and is done when it answers.
        """
        try:
            row = await self.definitions.get_trigger(customer_id, workflow_id) if reinstall else None
            if row is not None and row.kind == "schedule":
                await self.definitions.mark_stale(customer_id, workflow_id)
            await self._settle(customer_id, workflow_id)
        except ServerUnavailable as error:
            logger.warning("the schedule of %r waits: %s", workflow_id, error)

    async def list_next_times(self, customer_id: str, workflow_id: str, after: datetime, count: int) -> Times:
        """Give the next times: as Temporal keeps them, or as they would be once it is activated.

        Raises OperationRefused where the workflow does not start by time.
        """
        row = await self.definitions.get_trigger(customer_id, workflow_id)
        if row is not None and row.kind == "schedule" and row.wanted != REMOVED and row.applied == row.revision:
            try:
                found = await self.schedules.list_next_times(customer_id, workflow_id, count)
            except OperationRefused:  # somebody has removed it by hand: it is made anew
                await self.definitions.mark_stale(customer_id, workflow_id)
            else:
                return Times(True, row.wanted == PAUSED, tuple(found))
        stored = await self.definitions.get(customer_id, workflow_id)
        trigger = Definition.model_validate(stored.definition).trigger
        if trigger.type != "schedule":
            raise OperationRefused(f"workflow {workflow_id!r} starts by {trigger.type or 'hand'}, not by time")
        return Times(False, False, tuple(list_fire_times(trigger, after, count)))

    async def require(self, customer_id: str, workflow_id: str) -> None:
        """Raise WorkflowNotFound where there is no such workflow."""
        await self.definitions.get(customer_id, workflow_id)

    async def backfill(self, customer_id: str, workflow_id: str, start_at: datetime, end_at: datetime) -> int:
        """Start what would have started in a span of time, both ends included; give how many runs those are.

        Raises WorkflowNotFound, and OperationRefused as Backfill.start does.
        """
        await self.require(customer_id, workflow_id)
        mine = Leases(self.leases.database, str(uuid4()))
        name = f"backfill:{sha256(build_schedule_id(customer_id, workflow_id).encode()).hexdigest()}"
        if not await mine.acquire(name, BACKFILL_SECONDS):  # two at once would each find the same times not yet started
            raise OperationRefused("another backfill is being asked for", hint="try again in a moment")
        try:
            backfill = Backfill(self.schedules)
            prefix = await backfill.find_run_prefix(customer_id, workflow_id)
            first, last = (
                f"{prefix}{format_timestamp(moment.replace(microsecond=0))}" for moment in (start_at, end_at)
            )
            run_ids = await self.workflows.index.list_ids_between(customer_id, first, last)
            done = [datetime.fromisoformat(run_id.removeprefix(prefix)) for run_id in run_ids]
            trigger = await self._get_trigger(customer_id, workflow_id)

            def is_time(time: datetime) -> bool:
                return list_fire_times(trigger, time - SECOND, 1) == [time]

            done_in_span = [time for time in done if time >= start_at]
            return await backfill.start(customer_id, workflow_id, start_at, end_at, done=done_in_span, is_time=is_time)
        finally:
            await mine.release(name)

    async def _get_trigger(self, customer_id: str, workflow_id: str) -> Trigger:
        """Give the trigger that is installed, or that the working copy has."""
        row = await self.definitions.get_trigger(customer_id, workflow_id)
        if row is None:
            return Definition.model_validate((await self.definitions.get(customer_id, workflow_id)).definition).trigger
        version = await self.definitions.get_version(customer_id, workflow_id, row.version)
        return Definition.model_validate(version.definition).trigger

    async def repair(self) -> int:
        """Compare everything Temporal keeps with what should be; give how many schedules were touched."""
        mine = self.schedules.installation
        shown = {(each.customer_id, each.workflow_id): each async for each in self.schedules.list_installed()}
        touched = 0
        for row in await self.definitions.list_schedules():
            there = shown.pop((row.customer_id, row.workflow_id), None)
            if there is not None and there.installation not in ("", mine):
                _warn_foreign(there)
            elif there is None or _read_state(there) != (mine, _format_note(row), row.wanted == PAUSED):
                await self.definitions.mark_stale(row.customer_id, row.workflow_id)
                touched += await self._settle_or_log(row.customer_id, row.workflow_id)
        for (customer_id, workflow_id), there in shown.items():
            found = await self.definitions.get_trigger(customer_id, workflow_id)
            if found is not None and found.kind == "schedule" and found.wanted != REMOVED:
                continue
            if there.installation == mine:
                await self.schedules.remove(customer_id, workflow_id)
                touched += 1
            else:
                _warn_foreign(there)
        return touched

    async def run_once(self) -> None:
        """Do what is still to be done; at first, and from time to time, compare everything."""
        if not await self.leases.acquire(LEASE, 3 * EVERY_SECONDS):
            self._compared = None
            return
        now = datetime.now(UTC)
        if self._compared is None or now - self._compared >= COMPARE_EVERY:
            await self.repair()
            self._compared = now
        for row in await self.definitions.list_pending():
            await self._settle_or_log(row.customer_id, row.workflow_id)

    async def _settle_or_log(self, customer_id: str, workflow_id: str) -> bool:
        """Settle one of many: whatever is wrong with it, the others are settled, too."""
        try:
            await self._settle(customer_id, workflow_id)
        except (ServerUnavailable, StoreUnavailable):
            raise
        except Exception:
            logger.exception("the schedule of %r of %r", workflow_id, customer_id)
            return False
        return True

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Keep at it until the block ends."""
        async with run_every(EVERY_SECONDS, "schedules", self.run_once):
            yield
        with contextlib.suppress(StoreUnavailable):
            await self.leases.release(LEASE)

    async def _settle(self, customer_id: str, workflow_id: str) -> None:
        installed = False
        for _ in range(ROUNDS):
            row = await self.definitions.get_trigger(customer_id, workflow_id)
            if row is None:
                if installed:  # somebody removed the workflow while its schedule was being made
                    await self.schedules.remove(customer_id, workflow_id)
                return
            if not _is_pending(row):
                return
            # Before Temporal hears of it: whatever happens from here on, a schedule may be there.
            await self.definitions.mark_stale(customer_id, workflow_id)
            installed = await self._apply(row)
            if await self.definitions.mark_applied(row):
                return
            # What is wanted has changed meanwhile: what was installed last may not be the newest.
            await self.definitions.mark_stale(customer_id, workflow_id)
            await asyncio.sleep(0)

    async def _apply(self, row: TriggerRow) -> bool:
        """Make the schedule what a row says; tell whether there is one now."""
        if row.wanted == REMOVED or row.kind != "schedule":
            await self.schedules.remove(row.customer_id, row.workflow_id)
            return False
        version = await self.definitions.get_version(row.customer_id, row.workflow_id, row.version)
        plan = await self.workflows.load_plan(version)
        trigger = Definition.model_validate(version.definition).trigger
        await self.schedules.install(plan, trigger, paused=row.wanted == PAUSED, note=_format_note(row))
        return True


def _warn_foreign(there: InstalledSchedule) -> None:
    logger.warning(
        "the schedule of %r of %r was installed from another database: it is left alone; "
        "each database needs a Temporal namespace of its own",
        there.workflow_id,
        there.customer_id,
    )


def _is_pending(row: TriggerRow) -> bool:
    return row.applied != row.revision if row.kind == "schedule" else row.applied is not None


def _format_note(row: TriggerRow) -> str:
    """Say in Temporal which revision of what is wanted a schedule shows."""
    return f"revision {row.revision}"


def _read_state(there: InstalledSchedule) -> tuple[str, str, bool]:
    return there.installation, there.note, there.paused
