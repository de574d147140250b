"""Chargers: find, lock, list, and the one statement behind a status.

Whatever takes an organization finds nothing of another one: a foreign id is as unknown as one that never was.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from app.errors import ChargerNotFound
from app.models import Charger, Location

#: How long a repeated delete is still answered as the first one was.
TOMBSTONE: Final = timedelta(hours=24)
_ID: Final = re.compile(r"dep-[0-9a-f]{32}")


def _not_found() -> ChargerNotFound:
    return ChargerNotFound("No charger with this id.")


def check_id(charger_id: str) -> str:
    """The id, if it can be one at all. Raises `ChargerNotFound`: PostgreSQL does not take every text."""
    if _ID.fullmatch(charger_id) is None:
        raise _not_found()
    return charger_id


def _is_live(organization_id: str, charger_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        Charger.id == check_id(charger_id),
        Charger.organization_id == organization_id,
        Charger.deleted_at.is_(None),
    )


def get(session: Session, organization_id: str, charger_id: str) -> Charger:
    """A live charger. Raises `ChargerNotFound`."""
    found = session.scalars(select(Charger).where(*_is_live(organization_id, charger_id)))
    charger = found.one_or_none()
    if charger is None:
        raise _not_found()
    return charger


def lock(session: Session, organization_id: str, charger_id: str) -> Charger:
    """A live charger, locked until the transaction ends: orders begin here. Raises `ChargerNotFound`."""
    query = select(Charger).where(*_is_live(organization_id, charger_id))
    charger = session.scalars(
        query.with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if charger is None:
        raise _not_found()
    return charger


def check_exists(session: Session, organization_id: str, charger_id: str) -> None:
    """Raises `ChargerNotFound` unless it is live."""
    if session.scalar(select(Charger.id).where(*_is_live(organization_id, charger_id))) is None:
        raise _not_found()


def find_live(session: Session, organization_id: str, identity: str) -> Charger | None:
    """The live charger that has this identity."""
    query = select(Charger).where(
        Charger.organization_id == organization_id,
        Charger.identity == identity,
        Charger.deleted_at.is_(None),
    )
    return session.scalars(query).one_or_none()


def was_deleted(session: Session, organization_id: str, charger_id: str) -> bool:
    """Whether it was this organization's and was deleted within `TOMBSTONE`."""
    query = select(Charger.id).where(
        Charger.id == check_id(charger_id),
        Charger.organization_id == organization_id,
        Charger.deleted_at > func.clock_timestamp() - TOMBSTONE,
    )
    return session.scalar(query) is not None


def count_live(session: Session, organization_id: str, *, most: int) -> int:
    """Live chargers of an organization; the count stops at `most`."""
    some = (
        select(Charger.id)
        .where(Charger.organization_id == organization_id, Charger.deleted_at.is_(None))
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def list_page(
    session: Session,
    organization_id: str,
    *,
    page: int,
    limit: int,
    filters: Mapping[str, Any],
) -> tuple[Sequence[Charger], int]:
    """One page of an organization's live chargers, newest first, and how many there are in all.

    `filters`: any of `location_id` (UUID), `status`, `stage`, `identity` (a prefix).
    """
    wanted = [Charger.organization_id == organization_id, Charger.deleted_at.is_(None)]
    for name, value in filters.items():
        if name == "identity":
            wanted.append(Charger.identity.startswith(value, autoescape=True))
        else:
            wanted.append(getattr(Charger, name) == value)
    total = session.scalar(select(func.count()).select_from(Charger).where(*wanted)) or 0
    if (page - 1) * limit >= total:
        return [], total
    rows = session.scalars(
        select(Charger)
        .where(*wanted)
        .order_by(Charger.id.desc())
        .offset((page - 1) * limit)
        .limit(limit)
    )
    return rows.all(), total


class StatusRow(Protocol):
    """What `read_status` finds: the charger's visible state, and the run of its last order."""

    id: str
    status: str
    current_run_id: str | None
    error: dict[str, Any] | None
    provisioned_at: datetime | None
    provider: str | None
    stage: str
    verdict: str
    hint: str | None
    stage_since: datetime
    restarts: int
    last_error: dict[str, Any] | None
    connectors: list[dict[str, Any]] | None
    run_status: str | None
    plan: list[str] | None
    at: int | None
    attempts: int | None
    step_started_at: datetime | None
    run_error: dict[str, Any] | None
    #: Steps that ended, in order: name, status, attempts, started_at, finished_at, error.
    steps: list[dict[str, Any]] | None


# One statement, since this is what clients poll. Times inside JSON are spelled as answers spell them.
_STATUS: Final = text(
    """
    SELECT c.id, c.status, c.current_run_id, c.error, c.provisioned_at, c.provider, c.stage, c.verdict, c.hint,
           c.stage_since, c.restarts, c.last_error, c.connectors,
           r.status AS run_status, r.plan, r.at, r.attempts, r.step_started_at, r.error AS run_error,
           (SELECT jsonb_agg(jsonb_build_object(
                       'name', s.name, 'status', s.status, 'attempts', s.attempt,
                       'started_at', to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                       'finished_at', to_char(s.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                       'error', s.error) ORDER BY s.position)
            FROM run_steps AS s WHERE s.run_id = r.id) AS steps
    FROM chargers AS c LEFT JOIN runs AS r ON r.id = c.current_run_id
    WHERE c.id = :id AND c.organization_id = :organization_id AND c.deleted_at IS NULL
    """
)


def read_status(session: Session, organization_id: str, charger_id: str) -> StatusRow:
    """The state of a live charger and its last order. Raises `ChargerNotFound`."""
    values = {"id": check_id(charger_id), "organization_id": organization_id}
    row = session.execute(_STATUS, values).one_or_none()
    if row is None:
        raise _not_found()
    found: Any = row
    return found  # type: ignore[no-any-return]  # a row has its columns as attributes


def hold_location(session: Session, organization_id: str, location_id: uuid.UUID) -> str | None:
    """The name of a live location, which cannot be deleted until this transaction ends; None: no such one."""
    query = select(Location.name).where(
        Location.id == location_id,
        Location.organization_id == organization_id,
        Location.deleted_at.is_(None),
    )
    return session.scalar(query.with_for_update(read=True))
