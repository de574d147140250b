"""ReserveNow and CancelReservation (OCPP 2.0.1 part 2, H01 to H04)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import holds
from simulator.ocpp201 import BEHAVIOUR
from simulator.reservations import Reservation
from simulator.sampling import parse_timestamp
from simulator.station import station_of
from simulator.v201.remote import rejected
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger

holds.install(BEHAVIOUR)


@BEHAVIOUR.action("ReserveNow")
def reserve(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Hold an EVSE for a token, or any one when none is named."""
    station = station_of(charger)
    if not model_of(station).flag("ReservationCtrlr", "Enabled"):
        return rejected("NotEnabled", "Reservations are not enabled.")
    wanted = payload.get("connectorType")
    if wanted is not None and all(not _fits(bay.outlet.spec.type, wanted) for bay in station.bays):
        return rejected("UnknownConnectorType", "No connector is of this type.")
    try:
        expiry = parse_timestamp(payload["expiryDateTime"])
    except ValueError:
        return rejected("InvalidValue", "expiryDateTime is not a date and time.")
    group = payload.get("groupIdToken")
    reservation = Reservation(
        payload["id"],
        payload.get("evseId", 0),
        payload["idToken"]["idToken"],
        group["idToken"] if group else None,
        expiry,
    )
    return {"status": holds.reserve(charger, reservation, now)}


def _fits(name: str, wanted: str) -> bool:
    """Whether the catalog's name for a connector is meant by a ConnectorEnumType (`cCCS2`,
    `cType2`).
    """
    return name.lower() in wanted.lower()


@BEHAVIOUR.action("CancelReservation")
def cancel(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Give the EVSE free."""
    if holds.cancel(charger, payload["reservationId"], now):
        return {"status": "Accepted"}
    return rejected("NotFound", "There is no reservation with this id.")
