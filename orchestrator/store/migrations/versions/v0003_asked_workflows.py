"""What workflows answered to a delivery, and a digest of what came with its idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("content", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("asked", sa.JSON(), nullable=True))
    with op.batch_alter_table("starts") as batch:
        batch.create_index("ix_starts_customer_id_workflow_id_state", ["customer_id", "workflow_id", "state"])
