"""Alembic migrations of the gateway's PostgreSQL schema.

`upgrade(engine)` brings a database to the newest schema; several at once wait for each other under an advisory
lock. New ones: `gateway migrate --revision "<why>"` compares `app.models` with a migrated database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

#: Any constant that nothing else locks.
_LOCK: Final = 0x6761_7465


def make_config(connection: Connection) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision."""
    with engine.connect() as guard:
        guard.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            with engine.connect() as connection:
                command.upgrade(make_config(connection), "head")
                connection.commit()
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def is_current(engine: Engine) -> bool:
    """Whether the schema is at the newest revision."""
    with engine.connect() as connection:
        heads = set(ScriptDirectory.from_config(make_config(connection)).get_heads())
        return set(MigrationContext.configure(connection).get_current_heads()) == heads
