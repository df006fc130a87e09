"""Triggers of published workflows: the desired state that schedules in Temporal are reconciled with."""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.records import REMOVED, Stored, TriggerRow
from orchestrator.store.tables import installation, match_workflow, triggers

MAX_FIRST_REVISION = 2**30
STALE = 0
"""A value of `applied` that equals no revision: a schedule may exist, and may be out of date."""


class WebhookTaken(OrchestratorError):
    """Another workflow already uses this webhook path."""

    code = "webhook_taken"


class Triggers:
    """The triggers of all customers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def get(self, customer_id: str, workflow_id: str) -> TriggerRow | None:
        """Return the trigger of a workflow."""
        return await self._select_one(select(triggers).where(*match_workflow(customer_id, workflow_id, triggers)))

    async def find_webhook(self, customer_id: str, path: str) -> TriggerRow | None:
        """Return the trigger with this webhook path."""
        return await self._select_one(
            select(triggers).where(triggers.c.customer_id == customer_id, triggers.c.path == path)
        )

    async def list_subscribers(self, customer_id: str) -> list[TriggerRow]:
        """List the event triggers of a customer, those of paused workflows included."""
        return await self._select(
            select(triggers)
            .where(triggers.c.customer_id == customer_id, triggers.c.kind == "event", triggers.c.wanted != REMOVED)
            .order_by(triggers.c.workflow_id)
        )

    async def list_pending(self) -> list[TriggerRow]:
        """List the triggers whose schedule in Temporal may differ from the desired state."""
        outdated = or_(triggers.c.applied.is_(None), triggers.c.applied != triggers.c.revision)
        scheduled = or_(triggers.c.kind == "schedule", triggers.c.applied.is_not(None))
        return await self._select(select(triggers).where(outdated, scheduled))

    async def list_schedules(self) -> list[TriggerRow]:
        """List all triggers that should have a schedule in Temporal."""
        return await self._select(select(triggers).where(triggers.c.kind == "schedule", triggers.c.wanted != REMOVED))

    @retry_conflicts
    async def mark_applied(self, row: TriggerRow) -> bool:
        """Record that Temporal is in the desired state, and delete the row of a removed trigger.

        Return False where the desired state has changed in the meantime.
        """
        same = (*match_workflow(row.customer_id, row.workflow_id, triggers), triggers.c.revision == row.revision)
        async with self.database.write_transaction() as connection:
            if row.wanted == REMOVED:
                result = await connection.execute(delete(triggers).where(*same))
            else:
                applied = row.revision if row.kind == "schedule" else None
                result = await connection.execute(update(triggers).where(*same).values(applied=applied))
        return result.rowcount == 1

    @retry_conflicts
    async def mark_stale(self, customer_id: str, workflow_id: str) -> None:
        """Record that a schedule may exist and may be out of date, so that it is installed again or removed."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(triggers).where(*match_workflow(customer_id, workflow_id, triggers)).values(applied=STALE)
            )

    async def get_installation(self) -> str:
        """Return the ID that tells this database from others that use the same Temporal namespace."""
        async with self.database.read_transaction() as connection:
            return str(await connection.scalar(select(installation.c.id)))

    async def _select_one(self, query: Select[Any]) -> TriggerRow | None:
        return next(iter(await self._select(query)), None)

    async def _select(self, query: Select[Any]) -> list[TriggerRow]:
        async with self.database.read_transaction() as connection:
            return [TriggerRow(**row) for row in (await connection.execute(query)).mappings()]


async def mark_schedules_stale(connection: AsyncConnection, customer_id: str, workflow_ids: Select[Any]) -> None:
    """Have the schedules of some workflows installed again: what they start has changed."""
    await connection.execute(
        update(triggers)
        .where(
            triggers.c.customer_id == customer_id,
            triggers.c.kind == "schedule",
            triggers.c.wanted != REMOVED,
            triggers.c.workflow_id.in_(workflow_ids),
        )
        .values(applied=STALE)
    )


async def request_trigger(
    connection: AsyncConnection, stored: Stored, definition: Mapping[str, Any] | None, wanted: str
) -> None:
    """Write the desired state of a workflow's trigger; the schedule in Temporal follows, see `list_pending`."""
    same = match_workflow(stored.customer_id, stored.id, triggers)
    # Locked: `mark_applied` may be about to delete the row that is changed here.
    row = (await connection.execute(select(triggers).where(*same).with_for_update())).mappings().first()
    before = TriggerRow(**row) if row else None
    scheduled = before is not None and (before.kind == "schedule" or before.applied is not None)
    trigger = dict((definition or {}).get("trigger") or {})
    if wanted == REMOVED and not scheduled:
        await connection.execute(delete(triggers).where(*same))
        return
    kind = str(trigger.get("type") or (before.kind if before else "manual"))
    values = {
        "kind": kind,
        "wanted": wanted,
        "version": stored.version,
        # Random, so that a trigger that was removed and created again never equals the old one.
        "revision": secrets.randbelow(MAX_FIRST_REVISION) + 1 if before is None else before.revision + 1,
        "event": trigger.get("event") if kind == "event" else None,
        "path": str(trigger.get("webhook_path", "")).strip("/") if kind == "webhook" and wanted != REMOVED else None,
        "config": trigger.get("config") or {},
    }
    try:
        if before is not None:
            await connection.execute(update(triggers).where(*same).values(values))
        elif kind != "manual":
            await connection.execute(
                insert(triggers).values(customer_id=stored.customer_id, workflow_id=stored.id, **values)
            )
    except IntegrityError:
        raise WebhookTaken(
            f"another workflow already uses the webhook path {values['path']!r}", hint="choose another path"
        ) from None
