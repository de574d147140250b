"""Changes of many chargers of a location: each fails for itself, never the call as a whole.

A handful of statements, whatever the number; what a runtime must see becomes a durable run of its charger.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from app.errors import InvalidOrder, UnknownLocation
from app.models import Charger
from app.queue import Hints
from app.services import batches as orders
from app.services.chargers import Place, change, hold_place
from app.services.locations import hold
from app.services.policy import Policy
from app.store import batches


@dataclass(frozen=True, slots=True)
class Failure:
    """One charger of a call that could not be changed."""

    charger_id: str
    error: str
    code: str


_ABSENT: Final = ("No charger with this id at this location.", "charger_not_found")


def update(
    session: Session,
    queue: Hints,
    policy: Policy,
    organization_id: str,
    location_id: uuid.UUID,
    items: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[list[Charger], list[Failure]]:
    """Change chargers of a location, each (id, changes as `app.services.chargers.update`): (changed, failed).

    Raises `LocationNotFound`.
    """
    hold(session, organization_id, location_id)
    places = _hold_places(session, organization_id, items)
    chargers = batches.lock_chargers(
        session,
        organization_id,
        location_id=location_id,
        charger_ids=[charger_id for charger_id, _ in items],
    )
    now = batches.read_clock(session)
    updated: list[Charger] = []
    failed: list[Failure] = []
    must_see: dict[str, Charger] = {}
    for charger_id, changes in items:
        charger = chargers.get(charger_id)
        if charger is None:
            failed.append(Failure(charger_id, *_ABSENT))
            continue
        try:
            place = _get_place(places, changes.get("location_id"))
            if change(policy, charger, place, changes, now=now):
                must_see[charger.id] = charger
        except InvalidOrder as error:
            failed.append(Failure(charger_id, error.message, error.code))
        else:
            updated.append(charger)
    orders.replace(session, queue, organization_id, list(must_see.values()), now)
    return updated, failed


def _hold_places(
    session: Session, organization_id: str, items: Sequence[tuple[str, Mapping[str, Any]]]
) -> dict[str, Place | None]:
    """The locations that chargers are to move to, by what the client wrote; None: no such location."""
    wanted = sorted(
        {str(changes["location_id"]) for _, changes in items if "location_id" in changes}
    )
    places: dict[str, Place | None] = {}
    for text in wanted:
        try:
            places[text] = hold_place(session, organization_id, text)
        except UnknownLocation:
            places[text] = None
    return places


def _get_place(places: Mapping[str, Place | None], text: str | None) -> Place | None:
    if text is None:
        return None
    place = places[text]
    if place is None:
        raise UnknownLocation("No location with this id.")
    return place


def delete(
    session: Session,
    queue: Hints,
    organization_id: str,
    location_id: uuid.UUID,
    charger_ids: Sequence[str],
) -> tuple[list[str], list[Failure]]:
    """Delete chargers of a location: (ids that are gone, failed). One that was deleted before is gone, too.

    Raises `LocationNotFound`.
    """
    hold(session, organization_id, location_id)
    wanted = list(dict.fromkeys(charger_ids))
    chargers = batches.lock_chargers(
        session, organization_id, location_id=location_id, charger_ids=wanted
    )
    orders.delete(session, queue, organization_id, chargers.values())
    rest = [charger_id for charger_id in wanted if charger_id not in chargers]
    gone = batches.list_deleted(session, organization_id, location_id, rest) if rest else set()
    gone |= chargers.keys()
    deleted = [charger_id for charger_id in wanted if charger_id in gone]
    return deleted, [Failure(one, *_ABSENT) for one in wanted if one not in gone]
