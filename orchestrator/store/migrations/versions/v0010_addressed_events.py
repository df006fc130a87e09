"""Events that are kept for runs that wait for their name and key, and what runs wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID, RUN_ID, EVENT_ID, DIGEST = sa.String(200), sa.String(500), sa.String(36), sa.String(32)


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "addressed_events",
        sa.Column("id", EVENT_ID, primary_key=True),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_addressed_events_customer_id", "addressed_events", ["customer_id"])
    op.create_index("ix_addressed_events_expires_at", "addressed_events", ["expires_at"])
    op.create_table(
        "event_addresses",
        sa.Column("event_id", EVENT_ID, primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("customer_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["addressed_events.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_event_addresses_customer_id_digest", "event_addresses", ["customer_id", "digest"])
    op.create_table(
        "event_recipients",
        sa.Column("event_id", EVENT_ID, primary_key=True),
        sa.Column("run_id", RUN_ID, primary_key=True),
        sa.ForeignKeyConstraint(["event_id"], ["addressed_events.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "awaited_addresses",
        sa.Column("flow_id", RUN_ID, primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("run_id", RUN_ID, nullable=False),
    )
    op.create_index("ix_awaited_addresses_customer_id_digest", "awaited_addresses", ["customer_id", "digest"])
    op.create_index("ix_awaited_addresses_run_id", "awaited_addresses", ["run_id"])
