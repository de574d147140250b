"""Which installation this database belongs to. A restored or copied database shows by a different id."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session


def is_ours(session: Session, install_id: str) -> bool:
    """Whether the database is this installation's; the first to ask owns a new one."""
    session.execute(
        text("INSERT INTO installation (install_id) VALUES (:id) ON CONFLICT DO NOTHING"),
        {"id": install_id},
    )
    return bool(session.scalar(text("SELECT install_id FROM installation")) == install_id)


def adopt(session: Session, install_id: str) -> str | None:
    """Make the database this installation's. The id that it had."""
    former = session.scalar(text("SELECT install_id FROM installation"))
    session.execute(
        text(
            """INSERT INTO installation (install_id) VALUES (:id)
               ON CONFLICT (singleton) DO UPDATE SET install_id = excluded.install_id"""
        ),
        {"id": install_id},
    )
    return None if former is None else str(former)
