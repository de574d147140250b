"""Reservations at work on a charger: made, cancelled, expired. The same for both OCPP versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.conclusions import refresh_all
from simulator.reservations import REJECTED, Reservation
from simulator.station import station_of

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour
    from simulator.charger import Charger


def install(behaviour: Behaviour) -> None:
    """Register the timer `expiry` with one version."""
    behaviour.timer("expiry")(on_expiry)


def reserve(charger: Charger, wanted: Reservation, now: float) -> str:
    """Make a reservation, or say why not, in the words of both versions."""
    station = station_of(charger)
    if wanted.connector_id == 0 and not station.operative:
        return "Unavailable"
    if wanted.connector_id and station.bay(wanted.connector_id) is None:
        return REJECTED
    status = station.need_reservations().reserve(wanted, station.connectors, now)
    _settle(charger, now)
    return status


def cancel(charger: Charger, reservation_id: int, now: float) -> bool:
    """Cancel a reservation; whether there was one."""
    station = station_of(charger)
    if station.reservations is None:
        return False
    gone = station.reservations.cancel(reservation_id, station.connectors)
    _settle(charger, now)
    return gone is not None


def on_expiry(charger: Charger, argument: str, now: float) -> None:
    """The time of a reservation is over."""
    del argument
    station = station_of(charger)
    if station.reservations is None:
        return
    for over in station.reservations.expire(now, station.connectors):
        charger.happen("reservation_expired", {"reservation_id": over.id})
        station.voice.say_reservation_over(charger, over.id, now)
    _settle(charger, now)


def _settle(charger: Charger, now: float) -> None:
    station = station_of(charger)
    expiry = station.reservations.next_expiry() if station.reservations is not None else None
    if expiry is None:
        charger.cancel_timer("expiry")
    else:
        charger.set_timer("expiry", expiry)
    refresh_all(charger, now)
    charger.save()
