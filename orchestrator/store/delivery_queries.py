"""Queries of the ledger of deliveries that concern one row, or the starts of a few."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.store.tables import deliveries, starts


def is_due(now: Any) -> ColumnElement[bool]:
    """Return the condition that a delivery has pending starts, and that no process holds its claim."""
    return and_(deliveries.c.open, or_(deliveries.c.due_at.is_(None), deliveries.c.due_at < now))


def concerns_workflow(workflow_id: str) -> ColumnElement[bool]:
    """Return the condition that a delivery has started a workflow, or is to start it."""
    owned = select(starts.c.delivery_id).where(starts.c.workflow_id == workflow_id)
    return or_(deliveries.c.id.in_(owned), and_(deliveries.c.kind == "start", deliveries.c.name == workflow_id))


async def count_states(connection: AsyncConnection, owners: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return the number of starts by delivery and state."""
    query = select(starts.c.delivery_id, starts.c.state, func.count()).where(starts.c.delivery_id.in_(owners))
    rows = await connection.execute(query.group_by(starts.c.delivery_id, starts.c.state))
    return [(row[0], row[1], row[2]) for row in rows]
