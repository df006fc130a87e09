"""The tables of the database, the same on SQLite and PostgreSQL.

Runs live in Temporal; the table of runs is an index for lists and statistics.
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
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)
ID = String(200)
OPEN = "completed_at IS NULL"
RUN_ID = String(500)
"""The ID of a child run contains the path of the step that started it: see `cancellation.MAX_ID`."""


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite does not store the offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time for the database."""
        if value is None:
            return None
        moved = value.astimezone(UTC)
        return moved.replace(tzinfo=None) if dialect.name == "sqlite" else moved

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert a time from the database."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _index_present(column: str, *columns: str) -> Index:
    """Return an index of the runs that have a value in a column."""
    condition = text(f"{column} IS NOT NULL")
    name = f"ix_runs_with_{column}_{'_'.join(columns)}"
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


workflows = Table(
    "workflows",
    metadata,
    Column("customer_id", ID, primary_key=True),
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("definition", JSON, nullable=False),  # the working copy
    Column("version", Integer, nullable=False),  # the newest published version; 0 before the first
    Column("edited", Boolean, nullable=False),  # the working copy differs from the published version
    Column("revision", Integer, nullable=False),  # incremented by each write; part of the ETag
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("yaml", Text),  # the working copy as it was sent, with its comments; null where that was JSON
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
    Column("copy_of", Integer),  # the version that was published again by a rollback
    Column("yaml", Text),  # the text of the working copy when it was published
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
    Column("revision", Integer, nullable=False),  # incremented when the desired state changes
    Column("applied", Integer),  # revision of the schedule in Temporal; 0: may exist; null: none
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
    Column("key", Text),  # the idempotency key as sent
    Column("taken", String(1000)),  # the idempotency slot: kind, target and key; null once released
    Column("content", String(64)),  # digest of what came with the key
    Column("outcome", String(20), nullable=False),  # accepted, paused, duplicate or rejected
    Column("reason", Text),
    Column("duplicate_of", ID),
    Column("redrive_of", ID),
    Column("received", JSON, nullable=False),  # the trigger data of the run
    Column("asked", JSON(none_as_null=True)),  # what the workflows of its name or path answered
    Column("received_at", UtcTime, nullable=False),
    Column("open", Boolean, nullable=False),  # some of its starts are pending
    Column("due_at", UtcTime),  # end of the claim of a worker process; null: unclaimed
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
    Column("state", String(20), nullable=False),  # pending, paused, started, resumed or failed
    Column("reason", Text),
    Column("given", JSON(none_as_null=True)),
    ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], ondelete="CASCADE"),
    Index(None, "run_id"),
    Index(None, "customer_id", "workflow_id", "state"),
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
    Column("rerun_of", RUN_ID),
    Column("cancelled_by", Text),
    Column("cancel_reason", Text),
    Column("workflow_name", Text),
    Column("parent_run_id", RUN_ID),
    Column("reason", String(20)),  # what it waits for
    Column("node_id", Text),  # where it waits, is tried again, or failed
    Column("waiting_for", JSON(none_as_null=True)),
    Column("error_type", String(50)),
    Column("error", Text),
    Column("keys", JSON(none_as_null=True)),
    Column("as_of", UtcTime),  # when the row was true; an older one does not overwrite it
    Column("archived", Boolean),  # false where Temporal had nothing to archive; null until that is known
    Column("has_rerun", Boolean),  # null where there is no rerun of it
    Column("used_executions", Integer),  # what it has used: null until that is counted, after its end
    Column("used_events", BigInteger),
    Column("used_bytes", BigInteger),
    Column("used_steps", BigInteger),
    Column("used_worker_seconds", Float),
    Column("used_complete", Boolean),
    Index(None, "customer_id", "started_at", "id"),
    Index(None, "customer_id", "workflow_id", "started_at"),
    Index(None, "started_at", "id"),
    Index(None, "status", "started_at"),
    Index(None, "rerun_of"),
    Index(None, "parent_run_id", "started_at"),
    Index(None, "customer_id", "status", "started_at", "id"),
    Index(None, "customer_id", "reason", "started_at", "id"),
    Index(None, "customer_id", "error_type", "started_at", "id"),
    Index(None, "customer_id", "node_id", "started_at", "id"),
    Index(None, "customer_id", "completed_at"),
    Index("ix_runs_open_as_of", "as_of", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    # For lists of all customers; those of columns that few runs have are small.
    Index(None, "completed_at"),
    Index(None, "workflow_id", "started_at", "id"),
    Index(None, "workflow_id", "status", "started_at", "id"),
    Index(None, "trigger_type", "started_at", "id"),
    _index_present("reason", "reason", "started_at", "id"),
    _index_present("node_id", "node_id", "started_at", "id"),
    _index_present("error_type", "error_type", "started_at", "id"),
    _index_present("has_rerun", "started_at", "id"),
    _index_present("error", "started_at", "id"),
    _index_present("error", "workflow_id", "started_at", "id"),
    Index(None, "archived", "completed_at"),
)

archive = Table(
    "archive",
    metadata,
    Column("run_id", RUN_ID, primary_key=True),
    Column("customer_id", ID, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("document", LargeBinary, nullable=False),  # JSON, compressed
    Index(None, "ended_at"),
)

run_keys = Table(
    "run_keys",
    metadata,
    Column("run_id", RUN_ID, primary_key=True),
    Column("name", ID, primary_key=True),
    Column("value", Text, nullable=False),
    Column("customer_id", ID, nullable=False),
    Index(None, "name", "value", "customer_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("customer_id", ID, nullable=False),  # empty for an administrator's key
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("former_digest", String(64)),
    Column("former_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

audit = Table(
    "audit",  # append-only: triggers of the database refuse changes and deletions
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),  # the name of an API key
    Column("key_id", ID),  # null without a key
    Column("customer_id", ID, nullable=False),  # whose resource was changed; empty where it belongs to none
    Column("operation", String(100), nullable=False),
    Column("target", RUN_ID, nullable=False),  # ID of what was changed
    Column("source", Text, nullable=False),  # the address of the client
    Column("details", JSON, nullable=False),
    Index(None, "at", "id"),
    Index(None, "customer_id", "at", "id"),
    Index(None, "target", "at"),
)

bulk_jobs = Table(
    "bulk_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("customer_id", ID, nullable=False),  # empty for an administrator, whose job takes the runs of all customers
    Column("operation", String(20), nullable=False),
    Column("selection", JSON, nullable=False),  # the filter
    Column("options", JSON, nullable=False),
    Column("actor", Text, nullable=False),  # the name of an API key
    Column("pace", Integer, nullable=False),  # runs a second
    Column("total", Integer, nullable=False),  # runs that matched when it started
    Column("state", String(20), nullable=False),  # running, stopped or completed
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index(None, "state"),
    Index(None, "customer_id", "created_at", "id"),
)

bulk_items = Table(
    "bulk_items",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("run_id", RUN_ID, primary_key=True),
    Column("outcome", String(20), nullable=False),  # done, refused, unreachable or failed
    Column("message", Text),
    Column("new_run_id", RUN_ID),
    ForeignKeyConstraint(["job_id"], ["bulk_jobs.id"], ondelete="CASCADE"),
)

addressed_events = Table(
    "addressed_events",
    metadata,
    Column("id", String(36), primary_key=True),  # that of its delivery
    Column("customer_id", ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", JSON),
    Column("key", Text, nullable=False),  # what a `wait` may ask for beside the name
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "customer_id"),
    Index(None, "expires_at"),
)

event_addresses = Table(
    "event_addresses",
    metadata,
    Column("event_id", String(36), primary_key=True),
    Column("digest", String(32), primary_key=True),
    Column("customer_id", ID, nullable=False),
    ForeignKeyConstraint(["event_id"], ["addressed_events.id"], ondelete="CASCADE"),
    Index(None, "customer_id", "digest"),
)

event_recipients = Table(
    "event_recipients",
    metadata,
    Column("event_id", String(36), primary_key=True),
    Column("run_id", RUN_ID, primary_key=True),
    ForeignKeyConstraint(["event_id"], ["addressed_events.id"], ondelete="CASCADE"),
)

awaited_addresses = Table(
    "awaited_addresses",
    metadata,
    Column("flow_id", RUN_ID, primary_key=True),  # the run, or a branch of it
    Column("digest", String(32), primary_key=True),
    Column("customer_id", ID, nullable=False),
    Column("run_id", RUN_ID, nullable=False),
    Index(None, "customer_id", "digest"),
    Index(None, "run_id"),
)

installation = Table(
    "installation",  # one row: the ID that tells this database from others that use the same Temporal namespace
    metadata,
    Column("id", String(32), primary_key=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", ID, primary_key=True),
    Column("holder", ID, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("mark", UtcTime),  # how far the work has got
)


def match_workflow(customer_id: str, workflow_id: str, table: Any = versions) -> tuple[Any, Any]:
    """Return the conditions that select the rows of one workflow."""
    return table.c.customer_id == customer_id, table.c.workflow_id == workflow_id


def begins_with(column: Any, prefix: str) -> Any:
    """Return the condition that a column begins with a text, in the same case: LIKE of SQLite ignores the case."""
    return func.substr(column, 1, len(prefix)) == prefix
