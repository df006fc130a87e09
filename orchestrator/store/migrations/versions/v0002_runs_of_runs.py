"""Runs that runs start: room for their ids, which hold the way to their step; of retries, the run they retry."""

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
        batch.add_column(sa.Column("retried_from", RUN_ID, nullable=True))
        batch.create_index("ix_runs_retried_from", ["retried_from"])
