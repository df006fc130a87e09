"""Operations on many runs, and what came of each."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID, RUN_ID, JOB_ID = sa.String(length=200), sa.String(length=500), sa.String(length=32)


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "bulk_jobs",
        sa.Column("id", JOB_ID, primary_key=True),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("operation", sa.String(length=20), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("pace", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_bulk_jobs_state", "bulk_jobs", ["state"])
    op.create_index("ix_bulk_jobs_customer_id_created_at_id", "bulk_jobs", ["customer_id", "created_at", "id"])
    op.create_table(
        "bulk_items",
        sa.Column("job_id", JOB_ID, primary_key=True),
        sa.Column("run_id", RUN_ID, primary_key=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("new_run_id", RUN_ID, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["bulk_jobs.id"], ondelete="CASCADE"),
    )
