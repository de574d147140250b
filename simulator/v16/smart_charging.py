"""SetChargingProfile, ClearChargingProfile, GetCompositeSchedule (OCPP 1.6 sections 5.16, 5.5,
5.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.conclusions import refresh_all
from simulator.ocpp16 import BEHAVIOUR
from simulator.profiles import Profile, ProfileRejected, Purpose, parse16, purpose_of
from simulator.sampling import timestamp
from simulator.stacking import Electrics, Rules
from simulator.station import Station, station_of

if TYPE_CHECKING:
    from simulator.charger import Charger

#: The read-only keys of the profile SmartCharging say the same.
RULES = Rules()


@BEHAVIOUR.action("SetChargingProfile")
def set_profile(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Install a profile; the limit changes the power at once."""
    station = station_of(charger)
    number = payload["connectorId"]
    if number and station.bay(number) is None:
        return {"status": "Rejected"}
    try:
        profile = parse16(number, payload["csChargingProfiles"], now)
        profile = _bind(station, profile, payload["csChargingProfiles"].get("transactionId"))
        station.need_profiles().install(profile, RULES)
    except ProfileRejected as refusal:
        charger.happen("profile_rejected", {"reason": str(refusal)})
        return {"status": "Rejected"}
    charger.save()
    refresh_all(charger, now)
    return {"status": "Accepted"}


def _bind(station: Station, profile: Profile, number: int | None) -> Profile:
    """A TxProfile belongs to the transaction that runs on its connector (3.13.1)."""
    if profile.purpose is not Purpose.TX:
        return profile
    bay = station.bay(profile.evse_id)
    if bay is None or bay.tx is None:
        raise ProfileRejected("A TxProfile needs a transaction on its connector.")
    if number is not None and not bay.tx.is_called(str(number)):
        raise ProfileRejected(f"Transaction {number} does not run on that connector.")
    return profile.bound_to(bay.tx.key)


@BEHAVIOUR.action("ClearChargingProfile")
def clear(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Remove one profile by its id, or all that fit the other criteria."""
    station = station_of(charger)
    if station.profiles is None:
        return {"status": "Unknown"}
    if "id" in payload:
        found = station.profiles.matching(ids=[payload["id"]])
    else:
        purpose = payload.get("chargingProfilePurpose")
        found = station.profiles.matching(
            evse_id=payload.get("connectorId"),
            purpose=purpose_of(purpose) if purpose else None,
            stack_level=payload.get("stackLevel"),
        )
    removed = station.profiles.remove(found)
    charger.save()
    refresh_all(charger, now)
    return {"status": "Accepted" if removed else "Unknown"}


@BEHAVIOUR.action("GetCompositeSchedule")
def get_composite(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """What the connector, or with 0 the station, may deliver in the time to come."""
    station = station_of(charger)
    number = payload["connectorId"]
    bay = station.bay(number)
    if number and bay is None:
        return {"status": "Rejected"}
    unit = payload.get("chargingRateUnit", "W")
    electrics = bay.electrics if bay is not None else Electrics()
    hardware = bay.meter.outlet.max_power_w if bay is not None else charger.config.max_power_w
    duration, periods = station.need_profiles().composite(
        number,
        now,
        payload["duration"],
        unit,
        bay.session if bay is not None else None,
        electrics,
        min(hardware, charger.config.max_power_w),
    )
    start = timestamp(now)
    return {
        "status": "Accepted",
        "connectorId": number,
        "scheduleStart": start,
        "chargingSchedule": {
            "duration": duration,
            "startSchedule": start,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [
                {"startPeriod": p.start, "limit": p.limit, "numberPhases": p.phases}
                for p in periods
            ],
        },
    }
