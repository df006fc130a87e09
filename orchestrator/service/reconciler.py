"""Make Temporal's schedules what the store says they should be: at once, and again after any crash."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from orchestrator.calendars import fire_times
from orchestrator.definition import Definition
from orchestrator.errors import OperationRefused, OrchestratorError, ServerUnavailable
from orchestrator.schedules import Schedules
from orchestrator.service.background import every
from orchestrator.service.workflows import Workflows
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.definitions import PAUSED, REMOVED, TriggerRow
from orchestrator.store.leases import Leases

logger = logging.getLogger(__name__)
LEASE = "reconciler"
EVERY_SECONDS = 5.0
ROUNDS = 5
"""Others may change what is wanted while it is being installed: that often it is done again."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a workflow starts by time."""

    installed: bool
    paused: bool
    times: tuple[datetime, ...]


class Reconciler:
    """The schedules of all customers, as they should be and as they are."""

    def __init__(self, workflows: Workflows, schedules: Schedules, leases: Leases) -> None:
        self.workflows = workflows
        self.definitions = workflows.definitions
        self.schedules = schedules
        self.leases = leases
        self._compared = False

    async def settle(self, customer_id: str, workflow_id: str) -> None:
        """Install, suspend or remove the schedule of one workflow, where there is something to do.

        A Temporal that does not answer is no failure: what is wanted is written down, and is done when it answers.
        """
        try:
            await self._settle(customer_id, workflow_id)
        except ServerUnavailable as error:
            logger.warning("the schedule of %r waits: %s", workflow_id, error)

    async def times(self, customer_id: str, workflow_id: str, after: datetime, count: int) -> Times:
        """Give the next times: as Temporal keeps them, or as they would be once it is activated.

        Raises OperationRefused where the workflow does not start by time.
        """
        row = await self.definitions.trigger(customer_id, workflow_id)
        if row is not None and row.kind == "schedule" and row.wanted != REMOVED and row.applied is not None:
            found = await self.schedules.next_times(customer_id, workflow_id, count)
            return Times(True, row.wanted == PAUSED, tuple(found))
        stored = await self.definitions.get(customer_id, workflow_id)
        trigger = Definition.model_validate(stored.definition).trigger
        if trigger.type != "schedule":
            raise OperationRefused(f"workflow {workflow_id!r} starts by {trigger.type or 'hand'}, not by time")
        return Times(False, False, tuple(fire_times(trigger, after, count)))

    async def require(self, customer_id: str, workflow_id: str) -> None:
        """Raise WorkflowNotFound where there is no such workflow."""
        await self.definitions.get(customer_id, workflow_id)

    async def repair(self) -> int:
        """Compare everything Temporal keeps with what should be; give how many schedules were touched."""
        shown = {(each.customer_id, each.workflow_id): each async for each in self.schedules.installed()}
        touched = 0
        for row in await self.definitions.schedules():
            there = shown.pop((row.customer_id, row.workflow_id), None)
            right = there is not None and there.version == row.version and there.paused == (row.wanted == PAUSED)
            if right and row.applied == row.revision:
                continue
            await self.definitions.unnoted(row.customer_id, row.workflow_id)
            await self._settle(row.customer_id, row.workflow_id)
            touched += 1
        for customer_id, workflow_id in shown:
            found = await self.definitions.trigger(customer_id, workflow_id)
            if found is None or found.kind != "schedule" or found.wanted == REMOVED:
                await self.schedules.remove(customer_id, workflow_id)
                touched += 1
        return touched

    async def round(self) -> None:
        """Do what is still to be done; the first time, compare everything."""
        if not await self.leases.take(LEASE, 3 * EVERY_SECONDS):
            self._compared = False
            return
        if not self._compared:
            await self.repair()
            self._compared = True
        for row in await self.definitions.unapplied():
            try:
                await self._settle(row.customer_id, row.workflow_id)
            except (ServerUnavailable, StoreUnavailable):
                raise
            except OrchestratorError as error:
                logger.warning("the schedule of %r of %r: %s", row.workflow_id, row.customer_id, error)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Keep at it until the block ends."""
        async with every(EVERY_SECONDS, "schedules", self.round):
            yield
        with contextlib.suppress(StoreUnavailable):
            await self.leases.drop(LEASE)

    async def _settle(self, customer_id: str, workflow_id: str) -> None:
        installed = False
        for _ in range(ROUNDS):
            row = await self.definitions.trigger(customer_id, workflow_id)
            if row is None:
                if installed:  # somebody removed the workflow while its schedule was being made
                    await self.schedules.remove(customer_id, workflow_id)
                return
            if not _behind(row):
                return
            installed = await self._apply(row)
            if await self.definitions.applied(row):
                return
            # What is wanted has changed meanwhile: what was installed last may not be the newest.
            await self.definitions.unnoted(customer_id, workflow_id)
            await asyncio.sleep(0)

    async def _apply(self, row: TriggerRow) -> bool:
        """Make the schedule what a row says; tell whether there is one now."""
        if row.wanted == REMOVED or row.kind != "schedule":
            await self.schedules.remove(row.customer_id, row.workflow_id)
            return False
        version = await self.definitions.version(row.customer_id, row.workflow_id, row.version)
        plan = await self.workflows.published(version)
        trigger = Definition.model_validate(version.definition).trigger
        await self.schedules.install(plan, trigger, paused=row.wanted == PAUSED)
        return True


def _behind(row: TriggerRow) -> bool:
    return row.applied != row.revision if row.kind == "schedule" else row.applied is not None
