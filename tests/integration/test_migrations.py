"""The migrations make the tables that the models describe, and can be taken back."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from app.models import Base
from migrations import is_current, make_config, upgrade


def test_the_migrated_schema_is_the_models_schema(engine: Engine) -> None:
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == []


def test_every_migration_can_be_taken_back_and_applied_again(engine: Engine) -> None:
    with engine.connect() as connection:
        command.downgrade(make_config(connection), "base")
        connection.commit()
    assert not is_current(engine)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    upgrade(engine)
    assert is_current(engine)
