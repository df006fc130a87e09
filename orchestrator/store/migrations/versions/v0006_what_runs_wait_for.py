"""What lists of runs are filtered by: what a run waits for, where, its error, its caller and its business keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID, RUN_ID = sa.String(length=200), sa.String(length=500)
COLUMNS: dict[str, Any] = {
    "workflow_name": sa.Text(),
    "parent_run_id": RUN_ID,
    "reason": sa.String(length=20),
    "node_id": sa.Text(),
    "waiting_for": sa.JSON(),
    "error_type": sa.String(length=50),
    "error": sa.Text(),
    "keys": sa.JSON(),
    "as_of": sa.DateTime(timezone=True),
}
INDEXES = (
    ("parent_run_id", "started_at"),
    ("customer_id", "status", "started_at", "id"),
    ("customer_id", "reason", "started_at", "id"),
    ("customer_id", "error_type", "started_at", "id"),
    ("customer_id", "node_id", "started_at", "id"),
    ("customer_id", "completed_at"),
)


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("runs") as batch:
        for name, kind in COLUMNS.items():
            batch.add_column(sa.Column(name, kind, nullable=True))
    for columns in INDEXES:
        op.create_index(f"ix_runs_{'_'.join(columns)}", "runs", list(columns))
    is_open = sa.text("completed_at IS NULL")
    op.create_index("ix_runs_open_as_of", "runs", ["as_of"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "run_keys",
        sa.Column("run_id", RUN_ID, primary_key=True),
        sa.Column("name", ID, primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("customer_id", ID, nullable=False),
    )
    op.create_index("ix_run_keys_customer_id_name_value", "run_keys", ["customer_id", "name", "value"])
