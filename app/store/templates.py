"""Runtime templates: what every start of one content hash needs at its provider, remembered for all workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.models import Runtime, RuntimeTemplate


def get(session: Session, provider: str, content_hash: str) -> RuntimeTemplate | None:
    """The template of this content, if it was ever registered."""
    return session.get(RuntimeTemplate, (provider, content_hash))


def put(session: Session, provider: str, content_hash: str, *, family: str, arn: str) -> None:
    """Remember it, in place of an earlier one of the same hash."""
    values = {"family": family, "arn": arn, "status": "active"}
    session.execute(
        insert(RuntimeTemplate)
        .values(provider=provider, hash=content_hash, **values)
        .on_conflict_do_update(
            index_elements=[RuntimeTemplate.provider, RuntimeTemplate.hash],
            set_={**values, "used_at": func.clock_timestamp()},
        )
    )


def remove(session: Session, provider: str, content_hash: str) -> None:
    """Forget it; unknown is fine."""
    session.execute(
        delete(RuntimeTemplate).where(
            RuntimeTemplate.provider == provider, RuntimeTemplate.hash == content_hash
        )
    )


def list_in_use(session: Session, provider: str) -> set[str]:
    """Hashes that a runtime which is not gone was started from, or a run still means to start from."""
    started = session.scalars(
        select(Runtime.request["taskDefinition"].astext).where(
            Runtime.provider == provider, Runtime.state != "gone"
        )
    )
    planned = session.scalars(
        text("SELECT input -> 'template' ->> 'arn' FROM runs WHERE status = 'active'")
    )
    arns = {arn for arn in (*started, *planned) if arn}
    query = select(RuntimeTemplate.hash).where(
        RuntimeTemplate.provider == provider, RuntimeTemplate.arn.in_(arns)
    )
    return set(session.scalars(query))


@contextmanager
def lock(sessions: sessionmaker[Session], name: str) -> Iterator[None]:
    """A lock that every worker honours, held by a transaction of its own: it ends with its holder.

    Not a lock of the database session: at a commit that goes back to the pool, and the lock with it.
    """
    with sessions.begin() as session:
        session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"template:{name}"},
        )
        yield


def get_asked(session: Session, charger_id: str, incarnation: int) -> tuple[float, float] | None:
    """Seconds since a start was intended, and since it may last have been asked for; None: never intended."""
    row = session.execute(
        text(
            """SELECT extract(epoch FROM clock_timestamp() - created_at) AS first,
                      extract(epoch FROM clock_timestamp() - asked_at) AS last
               FROM runtimes WHERE charger_id = :charger_id AND incarnation = :incarnation"""
        ),
        {"charger_id": charger_id, "incarnation": incarnation},
    ).one_or_none()
    return None if row is None else (float(row.first), float(row.last))
