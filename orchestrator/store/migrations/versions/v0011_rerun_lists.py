"""Runs that have been rerun, for lists."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("runs", sa.Column("has_rerun", sa.Boolean()))
    op.execute("UPDATE runs SET has_rerun = true WHERE id IN (SELECT rerun_of FROM runs)")
    condition = sa.text("has_rerun IS NOT NULL")
    op.create_index(
        "ix_runs_with_has_rerun_started_at_id",
        "runs",
        ["started_at", "id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
