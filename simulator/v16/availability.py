"""ChangeAvailability and Reset (OCPP 1.6 sections 5.2 and 5.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import ocpp16, works
from simulator.ocpp16 import BEHAVIOUR
from simulator.station import station_of

if TYPE_CHECKING:
    from simulator.charger import Charger


@BEHAVIOUR.action("ChangeAvailability")
def change(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Put one connector, or with 0 the station and all of them, in or out of service."""
    station = station_of(charger)
    number = payload["connectorId"]
    bays = [bay for bay in station.bays if number in (0, bay.id)]
    if not bays:
        return {"status": "Rejected"}
    operative = payload["type"] == "Operative"
    if number == 0 and station.operative != operative:
        station.operative = operative
        ocpp16.report_station(charger, now)
    scheduled = works.change_service(charger, bays, now, operative=operative)
    return {"status": "Scheduled" if scheduled else "Accepted"}


@BEHAVIOUR.action("Reset")
def reset(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Stop transactions (a Hard one says so in their reason), then reboot."""
    works.reset(charger, payload["type"], now)
    return {"status": "Accepted"}
