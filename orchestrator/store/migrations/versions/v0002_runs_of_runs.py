"""Runs that runs start, long runs, deliveries that somebody is at, and which store this is."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID, RUN_ID = sa.String(length=200), sa.String(length=500)


def upgrade() -> None:
    """Bring the tables up to date."""
    with op.batch_alter_table("starts") as batch:
        batch.alter_column("run_id", existing_type=ID, type_=RUN_ID, existing_nullable=False)
    with op.batch_alter_table("runs") as batch:
        batch.alter_column("id", existing_type=ID, type_=RUN_ID, existing_nullable=False)
        batch.alter_column("duration_ms", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=True)
        batch.add_column(sa.Column("retried_from", RUN_ID, nullable=True))
        batch.create_index("ix_runs_retried_from", ["retried_from"])
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        batch.drop_index("ix_deliveries_open")
        batch.create_index("ix_deliveries_open_due_at", ["open", "due_at"])
    made = op.create_table("installation", sa.Column("id", sa.String(length=32), primary_key=True))
    op.bulk_insert(made, [{"id": uuid4().hex}])
