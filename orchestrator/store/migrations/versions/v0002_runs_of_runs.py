"""Longer run IDs for child runs, longer durations, claims on deliveries, and the installation ID."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID, RUN_ID = sa.String(length=200), sa.String(length=500)


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("starts") as batch:
        batch.alter_column("run_id", existing_type=ID, type_=RUN_ID, existing_nullable=False)
    with op.batch_alter_table("runs") as batch:
        batch.alter_column("id", existing_type=ID, type_=RUN_ID, existing_nullable=False)
        batch.alter_column("duration_ms", existing_type=sa.Integer(), type_=sa.BigInteger(), existing_nullable=True)
        batch.add_column(sa.Column("rerun_of", RUN_ID, nullable=True))
        batch.create_index("ix_runs_rerun_of", ["rerun_of"])
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        batch.drop_index("ix_deliveries_open")
        batch.create_index("ix_deliveries_open_due_at", ["open", "due_at"])
    installation = op.create_table("installation", sa.Column("id", sa.String(length=32), primary_key=True))
    op.bulk_insert(installation, [{"id": uuid4().hex}])
