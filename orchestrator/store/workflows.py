"""Workflow definitions and their published versions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import OrchestratorError
from orchestrator.model.plan import LATEST
from orchestrator.store.database import Database, retry_conflicts
from orchestrator.store.records import (
    ACTIVE,
    ARCHIVED,
    PAUSED,
    REMOVED,
    Callee,
    Caller,
    Head,
    Stored,
    Version,
    list_held_calls,
)
from orchestrator.store.tables import begins_with, match_workflow, versions, workflows
from orchestrator.store.triggers import mark_schedules_stale, request_trigger
from orchestrator.store.ttl_cache import TtlCache

HEAD_TTL_SECONDS = 1.0
"""How long a write of another process may go unseen by a start."""
MAX_HEADS = 10_000
HEAD = (workflows.c.customer_id, workflows.c.status, workflows.c.version, workflows.c.created_at)
MAX_VERSION = 2**31 - 1
"""The largest number that the column holds."""


class WorkflowNotFound(OrchestratorError):
    """There is no such workflow."""

    code = "workflow_not_found"


class WorkflowExists(OrchestratorError):
    """A workflow with this id already exists."""

    code = "workflow_exists"


class EditConflict(OrchestratorError):
    """The workflow has been changed since it was read."""

    code = "edit_conflict"


class Definitions:
    """The definitions of all customers. `None` as the customer means any, where only one has the workflow."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._heads: TtlCache[tuple[str | None, str], Head] = TtlCache(MAX_HEADS, HEAD_TTL_SECONDS)

    @retry_conflicts
    async def create(
        self, customer_id: str, workflow_id: str, definition: Mapping[str, Any], by: str, yaml: str | None = None
    ) -> Stored:
        """Store a new definition as a draft, with the text that it was read from; raises WorkflowExists."""
        now = datetime.now(UTC)
        stored = Stored(
            customer_id, workflow_id, _read_name(definition), "draft", dict(definition), 0, True, 1, now, now, by, yaml
        )
        try:
            async with self.database.write_transaction() as connection:
                await connection.execute(insert(workflows).values(_to_row(stored)))
        except IntegrityError:
            raise WorkflowExists(
                f"a workflow with the id {workflow_id!r} already exists",
                hint=f"change it with PUT /workflows/{workflow_id}",
            ) from None
        self._heads.clear()
        return stored

    async def get(self, customer_id: str | None, workflow_id: str) -> Stored:
        """Return a definition; raises WorkflowNotFound."""
        async with self.database.read_transaction() as connection:
            return await _get(connection, customer_id, workflow_id)

    async def get_head(self, customer_id: str | None, workflow_id: str) -> Head:
        """Return the owner, status and version of a workflow; raises as `get` does.

        The result may be a second old, but never older than the last write of this process.
        """

        async def load() -> Head:
            async with self.database.read_transaction() as connection:
                return Head(**await _select_one(connection, select(*HEAD), customer_id, workflow_id))

        return await self._heads.get((customer_id, workflow_id), load)

    async def list_definitions(
        self,
        customer_id: str | None,
        *,
        status: str | None = None,
        id_prefix: str | None = None,
        after: Sequence[str] = (),
        limit: int = 50,
    ) -> list[Stored]:
        """List definitions by customer and ID; `after` is the customer and ID of the last one on the page before."""
        query = select(workflows).order_by(workflows.c.customer_id, workflows.c.id).limit(limit)
        if customer_id is not None:
            query = query.where(workflows.c.customer_id == customer_id)
        if status is not None:
            query = query.where(workflows.c.status == status)
        if id_prefix is not None:
            query = query.where(begins_with(workflows.c.id, id_prefix))
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

    @retry_conflicts
    async def save(
        self,
        customer_id: str | None,
        workflow_id: str,
        definition: Mapping[str, Any],
        revision: int | None,
        yaml: str | None = None,
    ) -> Stored:
        """Replace the working copy, not what is published; raises EditConflict and WorkflowNotFound."""
        async with self.database.write_transaction() as connection:
            stored = await _get(connection, customer_id, workflow_id, lock=True)
            changed: dict[str, Any] = {"definition": dict(definition), "name": _read_name(definition), "yaml": yaml}
            if stored.version:
                published = await _get_version(connection, stored.customer_id, workflow_id, stored.version)
                changed["edited"] = _encode_canonical(published.definition) != _encode_canonical(definition)
            return await _change(connection, stored, revision, **changed)

    @retry_conflicts
    async def delete(self, customer_id: str | None, workflow_id: str, revision: int | None) -> Stored:
        """Delete a definition and its versions, request the removal of its trigger, and return what was deleted."""
        async with self.database.write_transaction() as connection:
            stored = await _get(connection, customer_id, workflow_id, lock=True)
            require_revision(stored, revision)
            await request_trigger(connection, stored, None, REMOVED)
            await connection.execute(delete(workflows).where(*_match_id(workflows, stored.customer_id, workflow_id)))
        self._heads.clear()
        return stored

    @retry_conflicts
    async def publish(
        self,
        before: Stored,
        definition: Mapping[str, Any],
        plan: Mapping[str, Any],
        *,
        by: str,
        copy_of: Version | None = None,
    ) -> Stored:
        """Publish the next version and request its trigger; raises EditConflict and WebhookTaken.

        Publishing an older version again (`copy_of`) does not touch a working copy with unpublished changes.
        """
        yaml = before.yaml if copy_of is None else copy_of.yaml
        version = before.version + 1
        published = {"definition": dict(definition), "plan": dict(plan), "published_by": by, "yaml": yaml}
        row = {"customer_id": before.customer_id, "workflow_id": before.id, "version": version, **published}
        row["copy_of"] = None if copy_of is None else copy_of.version
        status = PAUSED if copy_of is not None and before.status == PAUSED else ACTIVE
        changed: dict[str, Any] = {"version": version, "status": status}
        if copy_of is None or not before.edited:
            changed |= {"definition": dict(definition), "name": _read_name(definition), "edited": False, "yaml": yaml}
        async with self.database.write_transaction() as connection:
            stored = await _change(connection, before, before.revision, **changed)
            await connection.execute(insert(versions).values(published_at=datetime.now(UTC), **row))
            await request_trigger(connection, stored, definition, status)
            await mark_schedules_stale(connection, stored.customer_id, _select_latest_callers(stored))
        self._heads.clear()
        return stored

    @retry_conflicts
    async def set_status(self, before: Stored, status: str) -> Stored:
        """Activate, pause or archive a workflow with its trigger; raises EditConflict and WebhookTaken."""
        wanted = status if status in (ACTIVE, PAUSED) else REMOVED
        async with self.database.write_transaction() as connection:
            stored = await _change(connection, before, before.revision, status=status)
            definition = None
            if before.version:
                definition = (await _get_version(connection, before.customer_id, before.id, before.version)).definition
            await request_trigger(connection, stored, definition, wanted)
        self._heads.clear()
        return stored

    async def get_version(self, customer_id: str, workflow_id: str, number: int) -> Version:
        """Return a published version; raises WorkflowNotFound."""
        async with self.database.read_transaction() as connection:
            return await _get_version(connection, customer_id, workflow_id, number)

    async def list_versions(self, customer_id: str, workflow_id: str, *, before: int, limit: int) -> list[Version]:
        """List published versions, the newest first."""
        below = versions.c.version < min(before, MAX_VERSION)
        query = select(versions).where(*match_workflow(customer_id, workflow_id), below)
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(query.order_by(versions.c.version.desc()).limit(limit))
            return [Version(**row) for row in rows.mappings()]

    async def list_callers(self, customer_id: str, workflow_id: str) -> list[Caller]:
        """List the newest versions of workflows that call one, directly or through others, by ID.

        The text of a plan tells which may do so: only these are decoded. Archived workflows are left out.
        """
        query = (
            select(versions.c.workflow_id, versions.c.version, versions.c.plan)
            .join_from(workflows, versions, _is_newest())
            .where(
                workflows.c.customer_id == customer_id,
                workflows.c.status != ARCHIVED,
                workflows.c.id != workflow_id,
                cast(versions.c.plan, Text).contains(f'"{workflow_id}', autoescape=True),
            )
            .order_by(versions.c.workflow_id)
        )
        async with self.database.read_transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Caller(row.workflow_id, row.version, held)
            for row in rows
            for held in list_held_calls(row.plan)
            if held.workflow_id == workflow_id
        ]

    async def load_callees(self, customer_id: str, calls: Iterable[tuple[str, int | None]]) -> list[Callee]:
        """Return the definitions that are called by ID and version: the newest of each, and those pinned."""
        async with self.database.read_transaction() as connection:
            return [
                Callee(row.id, row.version or 0, row.content, newest=(row.version or 0) == row.newest)
                for row in await connection.execute(_select_callees(customer_id, calls))
            ]

    async def measure_callees(self, customer_id: str, calls: Iterable[tuple[str, int | None]]) -> int:
        """Return how many characters of JSON `load_callees` would load."""
        content = _select_callees(customer_id, calls).subquery().c.content
        async with self.database.read_transaction() as connection:
            return int(await connection.scalar(select(func.sum(func.length(cast(content, Text))))) or 0)


def _select_latest_callers(stored: Stored) -> Select[Any]:
    """Select the IDs of the workflows whose newest version calls the latest version of one."""
    return (
        select(versions.c.workflow_id)
        .join_from(workflows, versions, _is_newest())
        .where(
            workflows.c.customer_id == stored.customer_id,
            cast(versions.c.plan, Text).contains(f'"{stored.id}@{LATEST}"', autoescape=True),
        )
    )


def _is_newest() -> ColumnElement[bool]:
    return and_(
        versions.c.customer_id == workflows.c.customer_id,
        versions.c.workflow_id == workflows.c.id,
        versions.c.version == workflows.c.version,
    )


def _select_callees(customer_id: str, calls: Iterable[tuple[str, int | None]]) -> Select[Any]:
    wanted = list(calls)
    pinned = [(name, version) for name, version in wanted if version is not None and 0 < version <= MAX_VERSION]
    same = (versions.c.customer_id == workflows.c.customer_id, versions.c.workflow_id == workflows.c.id)
    chosen = or_(
        versions.c.version == workflows.c.version,
        tuple_(versions.c.workflow_id, versions.c.version).in_(pinned),
    )
    return (
        select(
            workflows.c.id,
            workflows.c.version.label("newest"),
            versions.c.version,
            case((workflows.c.version == 0, workflows.c.definition), else_=versions.c.definition).label("content"),
        )
        .outerjoin_from(workflows, versions, and_(*same, chosen))
        .where(workflows.c.customer_id == customer_id, workflows.c.id.in_({name for name, _ in wanted}))
    )


def _encode_canonical(definition: Mapping[str, Any]) -> str:
    """Encode JSON for a comparison: to Python, `1` equals `true`."""
    return json.dumps(definition, sort_keys=True)


def _read_name(definition: Mapping[str, Any]) -> str:
    return str(definition.get("name") or definition.get("id") or "").replace("\x00", "")


def _to_row(stored: Stored) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in Stored.__slots__}


def _match_id(table: Any, customer_id: str, workflow_id: str) -> tuple[Any, Any]:
    return table.c.customer_id == customer_id, table.c.id == workflow_id


async def _get(connection: AsyncConnection, customer_id: str | None, workflow_id: str, *, lock: bool = False) -> Stored:
    query = select(workflows)
    if lock:  # on PostgreSQL others may write between this read and our write; SQLite has a single writer
        query = query.with_for_update()
    return Stored(**await _select_one(connection, query, customer_id, workflow_id))


async def _select_one(
    connection: AsyncConnection, query: Select[Any], customer_id: str | None, workflow_id: str
) -> dict[str, Any]:
    query = query.where(workflows.c.id == workflow_id)
    if customer_id is not None:
        query = query.where(workflows.c.customer_id == customer_id)
    rows = [dict(row) for row in (await connection.execute(query.limit(2))).mappings()]
    if len(rows) > 1:
        raise WorkflowNotFound(f"several customers have a workflow {workflow_id!r}", hint="choose one with customer_id")
    if not rows:
        raise WorkflowNotFound(f"there is no workflow {workflow_id!r}")
    return rows[0]


async def _get_version(connection: AsyncConnection, customer_id: str, workflow_id: str, number: int) -> Version:
    query = select(versions).where(*match_workflow(customer_id, workflow_id), versions.c.version == number)
    row = (await connection.execute(query)).mappings().first() if 0 < number <= MAX_VERSION else None
    if row is None:
        raise WorkflowNotFound(f"workflow {workflow_id!r} has no published version {number}")
    return Version(**row)


def require_revision(stored: Stored, revision: int | None) -> None:
    """Raise EditConflict where a definition is no longer at the revision that was read."""
    if revision is not None and revision != stored.revision:
        raise EditConflict(
            f"workflow {stored.id!r} has been changed since it was read", hint="read it again and repeat the change"
        )


async def _change(connection: AsyncConnection, before: Stored, revision: int | None, **changed: Any) -> Stored:
    """Update a workflow that is still at the revision that was read."""
    require_revision(before, revision)
    values = {**changed, "revision": before.revision + 1, "updated_at": datetime.now(UTC)}
    result = await connection.execute(
        update(workflows)
        .where(*_match_id(workflows, before.customer_id, before.id), workflows.c.revision == before.revision)
        .values(values)
    )
    if result.rowcount != 1:
        raise EditConflict(
            f"workflow {before.id!r} has been changed since it was read", hint="read it again and repeat the change"
        )
    return Stored(**{**_to_row(before), **values})
