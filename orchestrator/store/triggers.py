"""Triggers of published workflows."""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.store.records import REMOVED, Stored, TriggerRow
from orchestrator.store.tables import same_workflow, triggers

MAX_FIRST_REVISION = 2**30


STALE = 0
"""In `applied`: no revision."""


class WebhookTaken(OrchestratorError):
    """Another workflow is reached at that path."""

    code = "webhook_taken"


async def request_trigger(
    connection: AsyncConnection, found: Stored, definition: Mapping[str, Any] | None, wanted: str
) -> None:
    """Write down what should start a workflow; the schedule follows by `unapplied`."""
    same = same_workflow(found.customer_id, found.id, triggers)
    # Locked: `applied` may be about to take away the row that we would change.
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
        "version": found.version,
        # A trigger that was removed and made anew never looks like the old one.
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
                insert(triggers).values(customer_id=found.customer_id, workflow_id=found.id, **values)
            )
    except IntegrityError:
        raise WebhookTaken(f"another workflow is reached at {values['path']!r}", hint="choose another path") from None
