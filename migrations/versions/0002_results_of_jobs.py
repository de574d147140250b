"""What became of each charger of a bulk job, and indexes for the filters of the runs list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("results", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.create_index("ix_runs_kind", "runs", ["organization_id", "kind", "id"])
    op.create_index("ix_runs_failed", "runs", ["id"], postgresql_where=sa.text("status = 'failed'"))


def downgrade() -> None:
    op.drop_index("ix_runs_failed", table_name="runs")
    op.drop_index("ix_runs_kind", table_name="runs")
    op.drop_column("jobs", "results")
