"""Room for the ids of runs that other runs start: they hold the way to their step."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = {"runs": "id", "starts": "run_id"}


def upgrade() -> None:
    """Bring the tables up to date."""
    for table, column in COLUMNS.items():
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                column, existing_type=sa.String(length=200), type_=sa.String(length=500), existing_nullable=False
            )
