"""Locations: find, lock, list; and one page of the chargers of one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import LocationNotFound
from app.models import Charger, Location

#: How long a repeated delete is still answered as the first one was.
TOMBSTONE: Final = timedelta(hours=24)


def get(session: Session, organization_id: str, location_id: uuid.UUID) -> Location:
    """A live location. Raises `LocationNotFound`."""
    return _find(session, organization_id, location_id, lock=False)


def lock(session: Session, organization_id: str, location_id: uuid.UUID) -> Location:
    """A live location, locked until the transaction ends: no charger comes to it. Raises `LocationNotFound`."""
    return _find(session, organization_id, location_id, lock=True)


def _find(
    session: Session, organization_id: str, location_id: uuid.UUID, *, lock: bool
) -> Location:
    query = select(Location).where(
        Location.id == location_id,
        Location.organization_id == organization_id,
        Location.deleted_at.is_(None),
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    location = session.scalars(query).one_or_none()
    if location is None:
        raise LocationNotFound("No location with this id.")
    return location


def was_deleted(session: Session, organization_id: str, location_id: uuid.UUID) -> bool:
    """Whether it was this organization's and was deleted within `TOMBSTONE`."""
    query = select(Location.id).where(
        Location.id == location_id,
        Location.organization_id == organization_id,
        Location.deleted_at > func.clock_timestamp() - TOMBSTONE,
    )
    return session.scalar(query) is not None


def list_page(
    session: Session, organization_id: str, *, page: int, limit: int
) -> tuple[Sequence[Location], int]:
    """One page of an organization's live locations, newest first, and how many there are in all."""
    wanted = (Location.organization_id == organization_id, Location.deleted_at.is_(None))
    total = session.scalar(select(func.count()).select_from(Location).where(*wanted)) or 0
    rows = session.scalars(
        select(Location)
        .where(*wanted)
        .order_by(Location.id.desc())
        .offset((page - 1) * limit)
        .limit(limit)
    )
    return rows.all(), total


def has_chargers(session: Session, location_id: uuid.UUID) -> bool:
    """Whether live chargers are there."""
    some = select(Charger.id).where(
        Charger.location_id == location_id, Charger.deleted_at.is_(None)
    )
    return session.scalar(some.limit(1)) is not None


def list_chargers(
    session: Session,
    organization_id: str,
    location_id: uuid.UUID,
    *,
    page: int,
    limit: int,
    charger_ids: Collection[str] | None = None,
) -> tuple[Sequence[Charger], int]:
    """One page of the live chargers of a location (those of `charger_ids`, if given), and how many in all."""
    wanted = [
        Charger.location_id == location_id,
        Charger.organization_id == organization_id,
        Charger.deleted_at.is_(None),
    ]
    if charger_ids is not None:
        wanted.append(Charger.id.in_(set(charger_ids)))
    total = session.scalar(select(func.count()).select_from(Charger).where(*wanted)) or 0
    rows = session.scalars(
        select(Charger)
        .where(*wanted)
        .order_by(Charger.id.desc())
        .offset((page - 1) * limit)
        .limit(limit)
    )
    return rows.all(), total
