"""What runs have used."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("runs", sa.Column("used_executions", sa.Integer()))
    op.add_column("runs", sa.Column("used_events", sa.BigInteger()))
    op.add_column("runs", sa.Column("used_bytes", sa.BigInteger()))
    op.add_column("runs", sa.Column("used_steps", sa.BigInteger()))
    op.add_column("runs", sa.Column("used_worker_seconds", sa.Float()))
    op.add_column("runs", sa.Column("used_complete", sa.Boolean()))
