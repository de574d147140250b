"""Whom a command is for: the few facts of many chargers that decide whether they can be told anything."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import ChargerNotFound
from app.lifecycle import Desired, Status
from app.models import Charger
from app.store.chargers import check_id


@dataclass(frozen=True, slots=True)
class Target:
    """One live charger."""

    id: str
    identity: str
    #: As the charger's: `OCPP1.6`.
    ocpp_version: str
    status: str
    desired_state: str

    @property
    def obstacle(self) -> str | None:
        """Why it will not come online by itself, as a sentence."""
        if self.desired_state == Desired.STOPPED.value:
            return "The charger is stopped."
        if self.status == Status.FAILED.value:
            return "The charger's last order failed."
        return None


_COLUMNS = (
    Charger.id,
    Charger.identity,
    Charger.ocpp_version,
    Charger.status,
    Charger.desired_state,
)


def get(session: Session, organization_id: str, charger_id: str) -> Target:
    """Raises `ChargerNotFound`."""
    query = select(*_COLUMNS).where(
        Charger.id == check_id(charger_id),
        Charger.organization_id == organization_id,
        Charger.deleted_at.is_(None),
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise ChargerNotFound("No charger with this id.")
    return Target(**row._mapping)


def list_at(
    session: Session,
    organization_id: str,
    location_id: uuid.UUID,
    charger_ids: Collection[str] | None = None,
) -> Sequence[Target]:
    """The live chargers of a location (those of `charger_ids`, if given), oldest first."""
    query = select(*_COLUMNS).where(
        Charger.location_id == location_id,
        Charger.organization_id == organization_id,
        Charger.deleted_at.is_(None),
    )
    if charger_ids is not None:
        query = query.where(Charger.id.in_(set(charger_ids)))
    return [Target(**row._mapping) for row in session.execute(query.order_by(Charger.id))]
