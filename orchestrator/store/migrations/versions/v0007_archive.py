"""The archive of run documents, and which runs are still to be archived."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("archived", sa.Boolean(), nullable=True))
    op.create_index("ix_runs_archived_completed_at", "runs", ["archived", "completed_at"])
    op.create_table(
        "archive",
        sa.Column("run_id", sa.String(length=500), primary_key=True),
        sa.Column("customer_id", sa.String(length=200), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_archive_ended_at", "archive", ["ended_at"])
