"""Definitions as they were written in YAML."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("workflows", sa.Column("yaml", sa.Text()))
    op.add_column("versions", sa.Column("yaml", sa.Text()))
