"""The tables of our own database, the same on SQLite and PostgreSQL. Every row belongs to a customer.

Runs live in Temporal: what is kept of them here is an index for lists and statistics, filled from there.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)
ID = String(200)
RUN_ID = String(500)
"""A run that a run starts is named after the way to its step: see `cancellation.MAX_ID`."""


class UtcTime(TypeDecorator[datetime]):
    """A time, always aware and in UTC; SQLite has no zones of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write a time."""
        if value is None:
            return None
        moved = value.astimezone(UTC)
        return moved.replace(tzinfo=None) if dialect.name == "sqlite" else moved

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a time."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


workflows = Table(
    "workflows",
    metadata,
    Column("customer_id", ID, primary_key=True),
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("definition", JSON, nullable=False),  # the working copy
    Column("version", Integer, nullable=False),  # the newest that is published; 0 before the first
    Column("edited", Boolean, nullable=False),  # the working copy is not what is published
    Column("revision", Integer, nullable=False),  # grows at each write: the ETag
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Index(None, "customer_id", "updated_at", "id"),
)

versions = Table(
    "versions",
    metadata,
    Column("customer_id", ID, primary_key=True),
    Column("workflow_id", ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("copy_of", Integer),  # the version that a rollback published again
    ForeignKeyConstraint(["customer_id", "workflow_id"], ["workflows.customer_id", "workflows.id"], ondelete="CASCADE"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("customer_id", ID, primary_key=True),
    Column("workflow_id", ID, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("wanted", String(20), nullable=False),  # active, paused or removed
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),  # grows at each change of what is wanted
    Column("applied", Integer),  # the revision that Temporal's schedule shows; 0: one may be there; null: none is
    Column("event", Text),
    Column("path", String(500)),
    Column("config", JSON, nullable=False),
    UniqueConstraint("customer_id", "path"),
    Index(None, "customer_id", "kind", "wanted"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("customer_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),  # event, webhook or start
    Column("name", Text, nullable=False),  # the event, the path or the workflow
    Column("key", Text),  # as it was sent
    Column("taken", String(1000)),  # kind, place and key; null where it does not count
    Column("outcome", String(20), nullable=False),  # accepted, duplicate or rejected
    Column("reason", Text),
    Column("duplicate_of", ID),
    Column("redrive_of", ID),
    Column("received", JSON, nullable=False),  # the run's trigger
    Column("received_at", UtcTime, nullable=False),
    Column("open", Boolean, nullable=False),  # some of its starts are still to be made
    Column("due_at", UtcTime),  # until then somebody is at it; null: nobody
    UniqueConstraint("customer_id", "taken"),
    Index(None, "customer_id", "received_at", "id"),
    Index(None, "open", "due_at"),
)

starts = Table(
    "starts",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("workflow_id", ID, primary_key=True),
    Column("customer_id", ID, nullable=False),
    Column("version", Integer, nullable=False),
    Column("run_id", RUN_ID, nullable=False),
    Column("state", String(20), nullable=False),  # pending, started, resumed or failed
    Column("reason", Text),
    Column("given", JSON(none_as_null=True)),
    ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], ondelete="CASCADE"),
    Index(None, "run_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", RUN_ID, primary_key=True),
    Column("customer_id", ID, nullable=False),
    Column("workflow_id", ID, nullable=False),
    Column("workflow_version", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("trigger_type", String(20), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("duration_ms", BigInteger),  # 2**31 ms are 25 days
    Column("retried_from", RUN_ID),
    Index(None, "customer_id", "started_at", "id"),
    Index(None, "customer_id", "workflow_id", "started_at"),
    Index(None, "started_at", "id"),
    Index(None, "status", "started_at"),
    Index(None, "retried_from"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("customer_id", ID, nullable=False),  # empty: an administrator's
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("former_digest", String(64)),
    Column("former_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

installation = Table(
    "installation",  # one row, made with the table: which of several stores beside one Temporal this is
    metadata,
    Column("id", String(32), primary_key=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", ID, primary_key=True),
    Column("holder", ID, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("mark", UtcTime),  # how far the work has come
)


def same_workflow(customer_id: str, workflow_id: str, table: Any = versions) -> tuple[Any, Any]:
    """Match the rows of one workflow of one customer."""
    return table.c.customer_id == customer_id, table.c.workflow_id == workflow_id
