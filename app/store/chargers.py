"""Chargers: find, lock, list, and the one statement behind a status.

Whatever takes an organization finds nothing of another one: a foreign id is as unknown as one that never was.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypedDict, cast

import orjson
from sqlalchemy import ColumnElement, Connection, Table, func, select, text
from sqlalchemy.orm import Session

from app.errors import ChargerNotFound
from app.models import Charger, Location

#: How long a repeated delete is still answered as the first one was.
TOMBSTONE: Final = timedelta(hours=24)
_ID: Final = re.compile(r"dep-[0-9a-f]{32}")


_TABLE: Final = cast(Table, Charger.__table__)
_COLUMNS: Final = tuple(column.key for column in _TABLE.columns)
_INSERT: Final = _TABLE.insert()


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


def insert(session: Session, charger: Charger) -> None:
    """Write a new charger that is in no session; it stays so, and what the database filled in is not read back.

    To create is what clients do most: the ORM would take longer for it than all the rest of the request.
    """
    given = vars(charger)
    values = {name: given[name] for name in _COLUMNS if name in given}
    session.execute(_INSERT, values)


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


_UTC: Final = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""

# One statement and one column, since this is what clients poll: what PostgreSQL makes of it is parsed by orjson
# in the time that a driver and an ORM take for two columns.
_STATUS: Final = text(
    f"""
    SELECT json_build_object(
        'charger_id', c.id, 'status', c.status, 'run_id', c.current_run_id, 'error', c.error,
        'provisioned_at', {_UTC.format("c.provisioned_at")},
        'runtime', json_build_object(
            'provider', c.provider, 'stage', c.stage, 'verdict', c.verdict, 'hint', c.hint,
            'since', {_UTC.format("c.stage_since")}, 'restarts', c.restarts,
            'last_error', c.last_error, 'connectors', c.connectors),
        'run', CASE WHEN r.status = 'active' THEN json_build_object(
            'plan', r.plan, 'at', r.at, 'attempts', r.attempts, 'error', r.error,
            'started_at', {_UTC.format("r.step_started_at")}) END,
        'steps', (SELECT json_agg(json_build_object(
                'name', s.name, 'status', s.status, 'attempts', s.attempt,
                'started_at', {_UTC.format("s.started_at")},
                'finished_at', {_UTC.format("s.finished_at")}, 'error', s.error) ORDER BY s.position)
            FROM run_steps AS s WHERE s.run_id = r.id))::text AS found
    FROM chargers AS c LEFT JOIN runs AS r ON r.id = c.current_run_id
    WHERE c.id = :id AND c.organization_id = :organization_id AND c.deleted_at IS NULL
    """
)


class Under(TypedDict):
    """An active run: `plan[at]` is the step at hand, `started_at` null before its first claim."""

    plan: list[str]
    at: int
    attempts: int
    error: dict[str, Any] | None
    started_at: str | None


class Seen(TypedDict):
    """What a charger's status is made of. Times are RFC 3339 in UTC."""

    charger_id: str
    status: str
    run_id: str | None
    error: dict[str, Any] | None
    provisioned_at: str | None
    #: As answers show it.
    runtime: dict[str, Any]
    #: The run of the last order, while it is active.
    run: Under | None
    #: Its steps that ended, in order: name, status, attempts, started_at, finished_at, error.
    steps: list[dict[str, Any]] | None


def read_status(connection: Connection, organization_id: str, charger_id: str) -> Seen:
    """The state of a live charger and its last order. Raises `ChargerNotFound`."""
    values = {"id": check_id(charger_id), "organization_id": organization_id}
    found = connection.scalar(_STATUS, values)
    if found is None:
        raise _not_found()
    seen: Seen = orjson.loads(found)
    return seen


def hold_location(session: Session, organization_id: str, location_id: uuid.UUID) -> str | None:
    """The name of a live location, which cannot be deleted until this transaction ends; None: no such one."""
    query = select(Location.name).where(
        Location.id == location_id,
        Location.organization_id == organization_id,
        Location.deleted_at.is_(None),
    )
    return session.scalar(query.with_for_update(read=True))
