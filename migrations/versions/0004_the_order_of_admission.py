"""Waiting runs by the order in which they are admitted, so that the first are found without sorting all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WAITING = sa.text("status = 'active' AND NOT hinted")


def upgrade() -> None:
    op.drop_index("ix_runs_waiting", table_name="runs")
    op.create_index(
        "ix_runs_waiting",
        "runs",
        ["organization_id", sa.text("(job_id IS NOT NULL AND kind <> 'bulk')"), "due_at"],
        postgresql_where=_WAITING,
    )


def downgrade() -> None:
    op.drop_index("ix_runs_waiting", table_name="runs")
    op.create_index(
        "ix_runs_waiting", "runs", ["organization_id", "due_at"], postgresql_where=_WAITING
    )
