"""Alembic's entry: runs the migrations on the connection that `migrations.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from app.models import Base


def run() -> None:
    """Apply what is missing, each migration in its own transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
