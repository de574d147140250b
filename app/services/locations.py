"""Use cases of locations. A location that is held (shared) or locked stays until the transaction ends."""

from __future__ import annotations

import secrets
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import InvalidOrder, LocationNotEmpty, LocationNotFound
from app.ids import make_uuid7
from app.models import Location
from app.queue import Hints
from app.services import batches as orders
from app.services.chargers import Place
from app.store import batches
from app.store import locations as store
from app.store.chargers import hold_location

_SLUG_INDEX: Final = "uq_locations_slug"
_SLUG_LENGTH: Final = 200


def read_id(text: str) -> uuid.UUID:
    """The id of a location. Raises `LocationNotFound` when it cannot be one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise LocationNotFound("No location with this id.") from None


def hold(session: Session, organization_id: str, location_id: uuid.UUID) -> Place:
    """A live location that cannot be deleted until the transaction ends. Raises `LocationNotFound`."""
    name = hold_location(session, organization_id, location_id)
    if name is None:
        raise LocationNotFound("No location with this id.")
    return Place(location_id, name)


def create(session: Session, organization_id: str, fields: Mapping[str, Any]) -> Location:
    """A new location; `fields` as the columns of its table. Its slug is made of its name."""
    location = Location(
        id=make_uuid7(),
        organization_id=organization_id,
        slug=make_slug(fields["name"]),
        **fields,
    )
    session.add(location)
    session.flush()
    session.refresh(location)
    return location


def make_slug(name: str) -> str:
    """`La Défense Hub` → `la-defense-hub-1f9c02aa`: plain letters, and 8 random hexadecimal digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    stem = "-".join(words)[:_SLUG_LENGTH].strip("-") or "location"
    return f"{stem}-{secrets.token_hex(4)}"


def update(
    session: Session, organization_id: str, location_id: uuid.UUID, changes: Mapping[str, Any]
) -> Location:
    """Change what `changes` names. Raises `LocationNotFound`, or `InvalidOrder` for a slug that is taken."""
    location = store.lock(session, organization_id, location_id)
    different = {name: value for name, value in changes.items() if getattr(location, name) != value}
    for name, value in different.items():
        setattr(location, name, value)
    if different:
        location.updated_at = func.clock_timestamp()
    try:
        session.flush()
    except IntegrityError as error:
        if _SLUG_INDEX not in str(error.orig):
            raise
        raise InvalidOrder(
            "Another location of the organization has this slug.", code="slug_taken", param="slug"
        ) from None
    session.refresh(location)
    return location


def delete(
    session: Session, queue: Hints, organization_id: str, location_id: uuid.UUID, *, cascade: bool
) -> None:
    """Delete a location, with `cascade` its chargers too; a repetition within 24 h changes nothing.

    Raises `LocationNotFound`, or `LocationNotEmpty`.
    """
    try:
        location = store.lock(session, organization_id, location_id)
    except LocationNotFound:
        if store.was_deleted(session, organization_id, location_id):
            return
        raise
    if store.has_chargers(session, location_id):
        if not cascade:
            raise LocationNotEmpty(
                "The location still has chargers; delete them first, or with ?cascade=true."
            )
        chargers = batches.lock_chargers(session, organization_id, location_id=location_id)
        orders.delete(session, queue, organization_id, chargers.values())
    location.deleted_at = func.clock_timestamp()
