"""Indexes for lists of the runs of all customers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PRESENT = (
    ("reason", "reason"),
    ("node_id", "node_id"),
    ("error_type", "error_type"),
    ("error",),
    ("error", "workflow_id"),
)
"""The column that the runs of a partial index have, and the columns before the start."""


def upgrade() -> None:
    """Change the indexes."""
    op.create_index("ix_runs_completed_at", "runs", ["completed_at"])
    op.create_index("ix_runs_workflow_id_status_started_at_id", "runs", ["workflow_id", "status", "started_at", "id"])
    for column in ("workflow_id", "trigger_type"):
        op.create_index(f"ix_runs_{column}_started_at_id", "runs", [column, "started_at", "id"])
    for present, *leading in PRESENT:
        columns = [*leading, "started_at", "id"]
        condition = sa.text(f"{present} IS NOT NULL")
        name = f"ix_runs_with_{present}_{'_'.join(columns)}"
        op.create_index(name, "runs", columns, sqlite_where=condition, postgresql_where=condition)
    op.drop_index("ix_run_keys_customer_id_name_value", "run_keys")
    op.create_index("ix_run_keys_name_value_customer_id", "run_keys", ["name", "value", "customer_id"])
