"""Reconcile the schedules in Temporal with the desired state in the store: at each change, and again after a crash."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.model.definition import Definition
from orchestrator.service.background import run_every_with_lease
from orchestrator.service.plans import Plans
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.leases import Leases
from orchestrator.store.records import PAUSED, REMOVED, TriggerRow
from orchestrator.store.triggers import Triggers
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.schedules.schedules import InstalledSchedule, Schedules

logger = logging.getLogger(__name__)
LEASE = "reconciler"
EVERY_SECONDS = 5.0
COMPARE_EVERY = timedelta(minutes=5)
"""How often all schedules are compared: one may have been changed or deleted in Temporal."""
ROUNDS = 5
"""Installations of one schedule in a row, where the desired state changes during each."""


class Reconciler:
    """The schedules of all customers, as desired and as installed."""

    def __init__(
        self, definitions: Definitions, triggers: Triggers, plans: Plans, schedules: Schedules, leases: Leases
    ) -> None:
        self.definitions = definitions
        self.triggers = triggers
        self.plans = plans
        self.schedules = schedules
        self.leases = leases
        self._compared: datetime | None = None
        self._foreign: set[tuple[str, str]] = set()
        """Schedules of other databases, which have been warned about."""

    async def settle(self, customer_id: str, workflow_id: str, *, reinstall: bool = False) -> None:
        """Install, pause or remove the schedule of a workflow where the desired state is pending.

        With `reinstall` a schedule is installed even if the store says that it is. The change that led here is stored:
        what prevents the installation for now is logged, and the desired state stays pending. Raises OperationRefused
        where it would never succeed: the schedule belongs to another database.
        """
        try:
            row = await self.triggers.get(customer_id, workflow_id) if reinstall else None
            if row is not None and row.kind == "schedule":
                await self.triggers.mark_stale(customer_id, workflow_id)
            await self._settle(customer_id, workflow_id)
        except OperationRefused:
            raise
        except OrchestratorError as error:
            logger.warning("the schedule of %r is pending: %s", workflow_id, error)

    async def repair(self) -> int:
        """Compare all schedules in Temporal with the desired state; return the number that was changed."""
        own = self.schedules.installation
        installed = {(each.customer_id, each.workflow_id): each async for each in self.schedules.list_installed()}
        changed = 0
        for row in await self.triggers.list_schedules():
            schedule = installed.pop((row.customer_id, row.workflow_id), None)
            if schedule is not None and schedule.installation not in ("", own):
                self._warn_foreign(schedule)
            elif schedule is None or _read_state(schedule) != (own, _format_note(row), row.wanted == PAUSED):
                await self.triggers.mark_stale(row.customer_id, row.workflow_id)
                changed += await self._settle_or_log(row.customer_id, row.workflow_id)
        for (customer_id, workflow_id), schedule in installed.items():
            trigger = await self.triggers.get(customer_id, workflow_id)
            if trigger is not None and trigger.kind == "schedule" and trigger.wanted != REMOVED:
                continue  # activated since the list was read
            if schedule.installation == own:
                await self.schedules.remove(customer_id, workflow_id)
                changed += 1
            else:
                self._warn_foreign(schedule)
        return changed

    async def run_once(self) -> None:
        """Settle what is pending; at first, and then from time to time, compare all schedules."""
        if not await self.leases.run_while_held(LEASE, 3 * EVERY_SECONDS, self._work):
            self._compared = None

    async def _work(self) -> None:
        now = datetime.now(UTC)
        if self._compared is None or now - self._compared >= COMPARE_EVERY:
            await self.repair()
            self._compared = now
        for row in await self.triggers.list_pending():
            await self._settle_or_log(row.customer_id, row.workflow_id)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Reconcile for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "schedules", self.run_once, self.leases, LEASE):
            yield

    def _warn_foreign(self, schedule: InstalledSchedule) -> None:
        """Warn once about a schedule of another database, not at each comparison."""
        name = (schedule.customer_id, schedule.workflow_id)
        if name in self._foreign:
            return
        self._foreign.add(name)
        logger.warning(
            "the schedule of %r of %r was installed from another database and is left alone; "
            "each database needs its own Temporal namespace",
            schedule.workflow_id,
            schedule.customer_id,
        )

    async def _settle_or_log(self, customer_id: str, workflow_id: str) -> bool:
        """Settle one of many schedules; return `False` where it failed, so that the others are settled too."""
        try:
            await self._settle(customer_id, workflow_id)
        except (ServerUnavailable, StoreUnavailable):
            raise
        except Exception:
            logger.exception("cannot settle the schedule of %r of %r", workflow_id, customer_id)
            return False
        return True

    async def _settle(self, customer_id: str, workflow_id: str) -> None:
        installed = False
        for _ in range(ROUNDS):
            row = await self.triggers.get(customer_id, workflow_id)
            if row is None:
                if installed:  # the workflow was removed while its schedule was being installed
                    await self.schedules.remove(customer_id, workflow_id)
                return
            if not _is_pending(row):
                return
            # Written before Temporal is called: from here on a schedule may exist, even after a crash.
            await self.triggers.mark_stale(customer_id, workflow_id)
            installed = await self._apply(row)
            if await self.triggers.mark_applied(row):
                return
            # The desired state has changed in the meantime, and another process may have installed a newer one first.
            await self.triggers.mark_stale(customer_id, workflow_id)
            await asyncio.sleep(0)

    async def _apply(self, row: TriggerRow) -> bool:
        """Bring the schedule into the desired state; return whether there is one."""
        if row.wanted == REMOVED or row.kind != "schedule":
            await self.schedules.remove(row.customer_id, row.workflow_id)
            return False
        version = await self.definitions.get_version(row.customer_id, row.workflow_id, row.version)
        plan = await self.plans.load(version)
        trigger = Definition.model_validate(version.definition).trigger
        await self.schedules.install(plan, trigger, paused=row.wanted == PAUSED, note=_format_note(row))
        return True


def _is_pending(row: TriggerRow) -> bool:
    return row.applied != row.revision if row.kind == "schedule" else row.applied is not None


def _format_note(row: TriggerRow) -> str:
    """Return the note of a schedule in Temporal, which names the revision that is installed."""
    return f"revision {row.revision}"


def _read_state(schedule: InstalledSchedule) -> tuple[str, str, bool]:
    return schedule.installation, schedule.note, schedule.paused
