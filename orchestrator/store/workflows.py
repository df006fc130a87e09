"""Definitions, their versions, and the triggers that should be installed for them."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.store.database import Database
from orchestrator.store.records import ACTIVE, PAUSED, REMOVED, Head, Stored, TriggerRow, Version
from orchestrator.store.tables import installation, same_workflow, triggers, versions, workflows
from orchestrator.store.triggers import STALE, request_trigger

KNOWN_SECONDS = 1.0
"""So long what was read for a start holds, should another process write."""
MAX_KNOWN = 10_000
HEAD = (workflows.c.customer_id, workflows.c.status, workflows.c.version, workflows.c.created_at)
MAX_VERSION = 2**31 - 1
"""What the column holds."""


class WorkflowNotFound(OrchestratorError):
    """There is no such workflow."""

    code = "workflow_not_found"


class WorkflowExists(OrchestratorError):
    """A workflow of that id is there already."""

    code = "workflow_exists"


class EditConflict(OrchestratorError):
    """Somebody else has changed the workflow since it was read."""

    code = "edit_conflict"


class Definitions:
    """Definitions of all customers; every operation names whose it means."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._heads: dict[tuple[str, str], tuple[float, Head]] = {}
        self._writes = 0

    def _invalidate(self) -> None:
        """Know nothing any more: this process has written."""
        self._writes += 1
        self._heads.clear()

    async def create(self, customer_id: str, workflow_id: str, definition: Mapping[str, Any], by: str) -> Stored:
        """Keep a new definition as a draft; raises WorkflowExists."""
        now = datetime.now(UTC)
        stored = Stored(
            customer_id, workflow_id, _display_name(definition), "draft", dict(definition), 0, True, 1, now, now, by
        )
        try:
            async with self.database.write_transaction() as connection:
                await connection.execute(insert(workflows).values(_to_row(stored)))
        except IntegrityError:
            raise WorkflowExists(
                f"there is a workflow {workflow_id!r} already", hint=f"change it with PUT /workflows/{workflow_id}"
            ) from None
        self._invalidate()
        return stored

    async def get(self, customer_id: str | None, workflow_id: str) -> Stored:
        """Give a definition; without a customer any one's, if only one has it. Raises WorkflowNotFound."""
        async with self.database.read_transaction() as connection:
            return await _get(connection, customer_id, workflow_id)

    async def get_head(self, customer_id: str | None, workflow_id: str) -> Head:
        """Give whose a workflow is and how it stands; raises as `get` does.

        What another process has written is seen within a second, what this one has at once.
        """
        known = self._heads.get((customer_id or "", workflow_id))
        if known is not None and time.monotonic() - known[0] < KNOWN_SECONDS:
            return known[1]
        writes, asked = self._writes, time.monotonic()
        async with self.database.read_transaction() as connection:
            found = Head(**await _select_one(connection, select(*HEAD), customer_id, workflow_id))
        if writes == self._writes:
            if len(self._heads) >= MAX_KNOWN:
                self._heads.clear()
            self._heads[customer_id or "", workflow_id] = (asked, found)
        return found

    async def list_definitions(
        self, customer_id: str | None, *, status: str | None = None, after: Sequence[str] = (), limit: int = 50
    ) -> list[Stored]:
        """List definitions by customer and id; `after` is those of the last one seen."""
        query = select(workflows).order_by(workflows.c.customer_id, workflows.c.id).limit(limit)
        if customer_id is not None:
            query = query.where(workflows.c.customer_id == customer_id)
        if status is not None:
            query = query.where(workflows.c.status == status)
        if after:
            customer, name = after
            query = query.where(
                or_(
                    workflows.c.customer_id > customer,
                    and_(workflows.c.customer_id == customer, workflows.c.id > name),
                )
            )
        async with self.database.read_transaction() as connection:
            return [Stored(**row) for row in (await connection.execute(query)).mappings()]

    async def save(
        self, customer_id: str, workflow_id: str, definition: Mapping[str, Any], revision: int | None
    ) -> Stored:
        """Replace the working copy; what is published stays as it is. Raises EditConflict and WorkflowNotFound."""
        async with self.database.write_transaction() as connection:
            found = await _get(connection, customer_id, workflow_id, lock=True)
            changed: dict[str, Any] = {"definition": dict(definition), "name": _display_name(definition)}
            if found.version:
                published = await _get_version(connection, customer_id, workflow_id, found.version)
                changed["edited"] = _canonical_json(published.definition) != _canonical_json(definition)
            return await _change(connection, found, revision, **changed)

    async def delete(self, customer_id: str, workflow_id: str, revision: int | None) -> None:
        """Take a definition and its versions away; its trigger is left to be removed."""
        async with self.database.write_transaction() as connection:
            found = await _get(connection, customer_id, workflow_id, lock=True)
            require_revision(found, revision)
            await request_trigger(connection, found, None, REMOVED)
            await connection.execute(delete(workflows).where(*_same(workflows, customer_id, workflow_id)))
        self._invalidate()

    async def publish(
        self,
        found: Stored,
        definition: Mapping[str, Any],
        plan: Mapping[str, Any],
        *,
        by: str,
        copy_of: int | None = None,
    ) -> Stored:
        """Publish the next version and install its trigger, where `found` is still what is there.

        An older version that is published again (`copy_of`) leaves a working copy with changes alone.
        Raises EditConflict and WebhookTaken.
        """
        version = found.version + 1
        published = {"definition": dict(definition), "plan": dict(plan), "published_by": by, "copy_of": copy_of}
        row = {"customer_id": found.customer_id, "workflow_id": found.id, "version": version, **published}
        status = PAUSED if copy_of is not None and found.status == PAUSED else ACTIVE
        changed: dict[str, Any] = {"version": version, "status": status}
        if copy_of is None or not found.edited:
            changed |= {"definition": dict(definition), "name": _display_name(definition), "edited": False}
        async with self.database.write_transaction() as connection:
            stored = await _change(connection, found, found.revision, **changed)
            await connection.execute(insert(versions).values(published_at=datetime.now(UTC), **row))
            await request_trigger(connection, stored, definition, status)
        self._invalidate()
        return stored

    async def set_status(self, found: Stored, status: str) -> Stored:
        """Activate again, pause or archive, with the trigger; raises EditConflict and WebhookTaken."""
        wanted = status if status in (ACTIVE, PAUSED) else REMOVED
        async with self.database.write_transaction() as connection:
            stored = await _change(connection, found, found.revision, status=status)
            definition = None
            if found.version:
                definition = (await _get_version(connection, found.customer_id, found.id, found.version)).definition
            await request_trigger(connection, stored, definition, wanted)
        self._invalidate()
        return stored

    async def get_version(self, customer_id: str, workflow_id: str, number: int) -> Version:
        """Give a published version; raises WorkflowNotFound."""
        async with self.database.read_transaction() as connection:
            return await _get_version(connection, customer_id, workflow_id, number)

    async def list_versions(self, customer_id: str, workflow_id: str, *, before: int, limit: int) -> list[Version]:
        """List published versions, the newest first."""
        below = versions.c.version < min(before, MAX_VERSION)
        query = select(versions).where(*same_workflow(customer_id, workflow_id), below)
        async with self.database.read_transaction() as connection:
            found = await connection.execute(query.order_by(versions.c.version.desc()).limit(limit))
            return [Version(**row) for row in found.mappings()]

    async def get_many(self, customer_id: str, names: Sequence[str]) -> dict[str, Stored]:
        """Give some definitions of a customer by id; those that are not there are left out."""
        query = select(workflows).where(workflows.c.customer_id == customer_id, workflows.c.id.in_(names))
        async with self.database.read_transaction() as connection:
            return {row["id"]: Stored(**row) for row in (await connection.execute(query)).mappings()}

    async def get_trigger(self, customer_id: str, workflow_id: str) -> TriggerRow | None:
        """Give what should start a workflow."""
        return await self._select_trigger(select(triggers).where(*same_workflow(customer_id, workflow_id, triggers)))

    async def find_webhook(self, customer_id: str, path: str) -> TriggerRow | None:
        """Find the trigger that is reached at a path."""
        return await self._select_trigger(
            select(triggers).where(triggers.c.customer_id == customer_id, triggers.c.path == path)
        )

    async def list_subscribers(self, customer_id: str) -> list[TriggerRow]:
        """Give the active event triggers of a customer."""
        return await self._select_triggers(
            select(triggers)
            .where(triggers.c.customer_id == customer_id, triggers.c.kind == "event", triggers.c.wanted == ACTIVE)
            .order_by(triggers.c.workflow_id)
        )

    async def list_pending(self) -> list[TriggerRow]:
        """Give the triggers whose schedule in Temporal is not known to be as it should be."""
        behind = or_(triggers.c.applied.is_(None), triggers.c.applied != triggers.c.revision)
        scheduled = or_(triggers.c.kind == "schedule", triggers.c.applied.is_not(None))
        return await self._select_triggers(select(triggers).where(behind, scheduled))

    async def list_schedules(self) -> list[TriggerRow]:
        """Give all triggers that should have a schedule in Temporal."""
        return await self._select_triggers(
            select(triggers).where(triggers.c.kind == "schedule", triggers.c.wanted != REMOVED)
        )

    async def mark_applied(self, row: TriggerRow) -> bool:
        """Note that Temporal shows what was wanted; a row that asks for nothing any more goes.

        False where something else is wanted by now.
        """
        same = (*same_workflow(row.customer_id, row.workflow_id, triggers), triggers.c.revision == row.revision)
        async with self.database.write_transaction() as connection:
            if row.wanted == REMOVED:
                done = await connection.execute(delete(triggers).where(*same))
            else:
                value = row.revision if row.kind == "schedule" else None
                done = await connection.execute(update(triggers).where(*same).values(applied=value))
        return done.rowcount == 1

    async def mark_stale(self, customer_id: str, workflow_id: str) -> None:
        """Note that a schedule may be there, and may be as it should be or not: it is made anew, or removed."""
        async with self.database.write_transaction() as connection:
            await connection.execute(
                update(triggers).where(*same_workflow(customer_id, workflow_id, triggers)).values(applied=STALE)
            )

    async def get_installation(self) -> str:
        """Say which of several stores beside one Temporal this is."""
        async with self.database.read_transaction() as connection:
            return str(await connection.scalar(select(installation.c.id)))

    async def _select_trigger(self, query: Select[Any]) -> TriggerRow | None:
        return next(iter(await self._select_triggers(query)), None)

    async def _select_triggers(self, query: Select[Any]) -> "list[TriggerRow]":
        async with self.database.read_transaction() as connection:
            return [TriggerRow(**row) for row in (await connection.execute(query)).mappings()]


def _canonical_json(definition: Mapping[str, Any]) -> str:
    """Write JSON down to compare: in Python `1` is `true`."""
    return json.dumps(definition, sort_keys=True)


def _display_name(definition: Mapping[str, Any]) -> str:
    return str(definition.get("name") or definition.get("id") or "").replace("\x00", "")


def _to_row(stored: Stored) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in Stored.__slots__}


def _same(table: Any, customer_id: str, workflow_id: str) -> tuple[Any, Any]:
    return table.c.customer_id == customer_id, table.c.id == workflow_id


async def _get(connection: AsyncConnection, customer_id: str | None, workflow_id: str, *, lock: bool = False) -> Stored:
    query = select(workflows)
    if lock:  # PostgreSQL lets others write between our read and our write; SQLite has one writer
        query = query.with_for_update()
    return Stored(**await _select_one(connection, query, customer_id, workflow_id))


async def _select_one(
    connection: AsyncConnection, query: Select[Any], customer_id: str | None, workflow_id: str
) -> dict[str, Any]:
    query = query.where(workflows.c.id == workflow_id)
    if customer_id is not None:
        query = query.where(workflows.c.customer_id == customer_id)
    found = [dict(row) for row in (await connection.execute(query.limit(2))).mappings()]
    if len(found) > 1:
        raise WorkflowNotFound(f"several customers have a workflow {workflow_id!r}", hint="name one: ?customer_id=…")
    if not found:
        raise WorkflowNotFound(f"there is no workflow {workflow_id!r}")
    return found[0]


async def _get_version(connection: AsyncConnection, customer_id: str, workflow_id: str, number: int) -> Version:
    query = select(versions).where(*same_workflow(customer_id, workflow_id), versions.c.version == number)
    row = (await connection.execute(query)).mappings().first() if 0 < number <= MAX_VERSION else None
    if row is None:
        raise WorkflowNotFound(f"workflow {workflow_id!r} has no published version {number}")
    return Version(**row)


def require_revision(found: Stored, revision: int | None) -> None:
    """Raise EditConflict where a definition is not at the revision that was read."""
    if revision is not None and revision != found.revision:
        raise EditConflict(
            f"workflow {found.id!r} has been changed since it was read", hint="read it again, and change that"
        )


async def _change(connection: AsyncConnection, found: Stored, revision: int | None, **changed: Any) -> Stored:
    """Write a workflow where it is still at the revision that was read."""
    require_revision(found, revision)
    values = {**changed, "revision": found.revision + 1, "updated_at": datetime.now(UTC)}
    done = await connection.execute(
        update(workflows)
        .where(*_same(workflows, found.customer_id, found.id), workflows.c.revision == found.revision)
        .values(values)
    )
    if done.rowcount != 1:
        raise EditConflict(f"workflow {found.id!r} has just been changed by somebody else", hint="read it again")
    return Stored(**{**_to_row(found), **values})
