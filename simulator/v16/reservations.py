"""ReserveNow and CancelReservation (OCPP 1.6 sections 5.13 and 5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import holds
from simulator.ocpp16 import BEHAVIOUR
from simulator.reservations import Reservation
from simulator.sampling import parse_timestamp

if TYPE_CHECKING:
    from simulator.charger import Charger

holds.install(BEHAVIOUR)


@BEHAVIOUR.action("ReserveNow")
def reserve(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Hold a connector for a token, or any one with connector 0."""
    try:
        expiry = parse_timestamp(payload["expiryDate"])
    except ValueError:
        return {"status": "Rejected"}
    wanted = Reservation(
        payload["reservationId"],
        payload["connectorId"],
        payload["idTag"],
        payload.get("parentIdTag"),
        expiry,
    )
    return {"status": holds.reserve(charger, wanted, now)}


@BEHAVIOUR.action("CancelReservation")
def cancel(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Give the connector free."""
    cancelled = holds.cancel(charger, payload["reservationId"], now)
    return {"status": "Accepted" if cancelled else "Rejected"}
