"""ChangeAvailability and Reset (OCPP 2.0.1 part 2, G03, G04, B11, B12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import works
from simulator.behaviour import Moment
from simulator.ocpp201 import BEHAVIOUR
from simulator.station import station_of
from simulator.v201.remote import rejected
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger


@BEHAVIOUR.moment(Moment.OFFLINE)
def watch_absence(charger: Charger, now: float) -> None:
    """After OfflineThreshold the CSMS is to be told every status again (B04.FR.01)."""
    threshold = model_of(station_of(charger)).number("OCPPCommCtrlr", "OfflineThreshold")
    # "Exceeds" in B04.FR.01: as long as the threshold is not yet too long.
    charger.set_timer("stale", now + threshold + 0.001)


@BEHAVIOUR.moment(Moment.ONLINE)
def end_absence(charger: Charger, now: float) -> None:
    """Back in time: only what changed is told."""
    del now
    charger.cancel_timer("stale")


@BEHAVIOUR.timer("stale")
def grow_stale(charger: Charger, argument: str, now: float) -> None:
    """Away for too long: what was told no longer counts."""
    del argument, now
    if not charger.is_up:
        for outlet in charger.outlets:
            outlet.reported = None


@BEHAVIOUR.action("ChangeAvailability")
def change(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Put an EVSE (its connector is the same here), or the whole station, in or out of service."""
    station = station_of(charger)
    evse = payload.get("evse")
    bays = [bay for bay in station.bays if evse is None or bay.id == evse["id"]]
    if not bays or (evse is not None and evse.get("connectorId", 1) != 1):
        return rejected("UnknownEvse", "There is no such EVSE or connector.")
    operative = payload["operationalStatus"] == "Operative"
    if evse is None:
        station.operative = operative
    scheduled = works.change_service(charger, bays, now, operative=operative)
    return {"status": "Scheduled" if scheduled else "Accepted"}


@BEHAVIOUR.action("Reset")
def reset(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Reboot at once, or when no transaction runs; a single EVSE cannot (AllowReset is false)."""
    if "evseId" in payload:
        return rejected("UnsupportedRequest", "An EVSE of this station cannot be reset alone.")
    station = station_of(charger)
    if payload["type"] == "OnIdle" and station.is_busy:
        station.idle_reset = True
        return {"status": "Scheduled"}
    works.reset(charger, payload["type"], now)
    return {"status": "Accepted"}
